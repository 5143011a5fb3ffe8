package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// options configures a gateway. The zero value has the defaults.
type options struct {
	// maxBytes is the maximum size of a form. 0 means 10 GiB.
	maxBytes int64
	// chunkSize is the number of bytes per request to the tus server. Each upload has two
	// chunks in memory. 0 means 4 MiB.
	chunkSize int64
	// maxActive is the maximum number of uploads at the same time. Further forms get a
	// 503 with Retry-After. 0 means 16.
	maxActive int
	// maxPerClient is the maximum number of uploads of one client at the same time. 0
	// means a quarter of maxActive, at least 1.
	maxPerClient int
	// clientHeader is the header field of a proxy with the client's address.
	clientHeader string
	// keep is the number of complete uploads, and of failed ones, whose status is kept. 0
	// means 1000.
	keep int
	// headTimeout is the timeout for the part of a form before the file, and for the part
	// after it. 0 means 10 seconds.
	headTimeout time.Duration
	// idleTimeout is the maximum time that the gateway waits for minProgress more bytes. 0
	// means 30 seconds.
	idleTimeout time.Duration
	// maxWait is the maximum duration of a GET with wait=true. 0 means 30 seconds.
	maxWait time.Duration
	// log logs failed uploads. nil means no logs.
	log *slog.Logger
}

func (o options) withDefaults() options {
	setDefault(&o.maxBytes, 10<<30)
	setDefault(&o.chunkSize, 4<<20)
	setDefault(&o.maxActive, 16)
	setDefault(&o.maxPerClient, max(1, o.maxActive/4))
	setDefault(&o.keep, 1000)
	setDefault(&o.headTimeout, 10*time.Second)
	setDefault(&o.idleTimeout, 30*time.Second)
	setDefault(&o.maxWait, 30*time.Second)
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	return o
}

func setDefault[T ~int | ~int64](value *T, fallback T) {
	if *value <= 0 {
		*value = fallback
	}
}

// gateway streams forms into a tus server.
type gateway struct {
	client *tus.Client
	opts   options
	jobs   *jobs

	running context.Context // the end cancels all uploads
	cancel  context.CancelFunc
}

func newGateway(client *tus.Client, opts options) *gateway {
	g := &gateway{client: client, opts: opts.withDefaults()}
	g.jobs = newJobs(g.opts)
	g.running, g.cancel = context.WithCancel(context.Background())
	return g
}

func (g *gateway) register(mux *http.ServeMux) {
	mux.HandleFunc("POST /uploads", g.receive)
	mux.HandleFunc("POST /uploads/{id}", g.receive)
	mux.HandleFunc("GET /uploads/{id}", g.show)
}

// shutdown refuses further forms and waits for the uploads. When ctx ends, it cancels them
// and deletes them on the tus server. It reports whether there were any.
func (g *gateway) shutdown(ctx context.Context) (waited bool) {
	stop := context.AfterFunc(ctx, g.cancel)
	defer stop()
	return g.jobs.close()
}

// receive reads a form and responds when all of it has arrived, or when it failed.
func (g *gateway) receive(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if id == "" {
		id = rand.Text()
	}
	j, err := g.jobs.open(id, clientOf(r, g.opts.clientHeader), r.ContentLength)
	if err != nil {
		respondError(w, err)
		return
	}
	b := newBody(w, r, g.opts)
	defer b.rest()
	defer context.AfterFunc(g.running, b.interrupt)()
	f, err := openForm(b, r)
	if err != nil {
		// The response to a form that is too large may be lost: the status must exist.
		g.jobs.end(j, err, b.started || errors.Is(err, errFormTooLarge))
		respondError(w, err)
		return
	}
	j.setForm(f)
	go func() {
		// The context has the values of the request, for tracing, but not its end: the
		// last chunks are sent later.
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		defer cancel()
		defer context.AfterFunc(g.running, cancel)()
		err := g.store(ctx, j, f)
		if err != nil && g.running.Err() != nil {
			err = errClosing
		}
		g.jobs.end(j, err, true)
	}()
	select {
	case <-f.over:
	case <-j.done: // the tus server refused it
	}
	if err := cmp.Or(f.failure(), j.failure()); err != nil {
		respondError(w, err)
		return
	}
	w.Header().Set("Location", "/uploads/"+id)
	respond(w, http.StatusAccepted, j.status())
}

// store sends the file of a form to the tus server. If that fails, it deletes the upload.
func (g *gateway) store(ctx context.Context, j *job, f *form) error {
	u, err := g.client.NewUploader(tus.Reader(f), &tus.UploadOptions{
		ChunkSize: g.opts.chunkSize,
		Metadata:  f.metadata,
	})
	if err != nil {
		return err
	}
	j.setUploader(u)
	_, err = u.Run(ctx)
	if err == nil {
		return nil
	}
	g.opts.log.WarnContext(ctx, "upload failed", "id", j.status().ID, "received", f.received.Load(), "stored", u.Offset(), "error", err)
	const abortTimeout = 15 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	if abortErr := u.Abort(ctx); abortErr != nil {
		// The server may expire it, because it is incomplete.
		g.opts.log.WarnContext(ctx, "cannot delete the unfinished upload on the tus server", "id", j.status().ID, "error", abortErr)
	}
	return err
}

// show responds with the status of an upload: 202 while it is active, 200 after it
// completed or failed.
func (g *gateway) show(w http.ResponseWriter, r *http.Request) {
	j, err := g.jobs.find(r.PathValue("id"))
	if err != nil {
		respondError(w, err)
		return
	}
	wait := false
	if value := r.URL.Query().Get("wait"); value != "" {
		if wait, err = strconv.ParseBool(value); err != nil {
			respondError(w, &refusal{http.StatusBadRequest, "wait must be true or false"})
			return
		}
	}
	if wait {
		limit := time.NewTimer(g.opts.maxWait)
		defer limit.Stop()
		select {
		case <-j.done:
		case <-limit.C:
		case <-r.Context().Done():
		}
	}
	s := j.status()
	code := http.StatusOK
	if !s.State.final() {
		code = http.StatusAccepted
	}
	respond(w, code, s)
}

// refusal is an error whose text is sent to the browser.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return r.text }

var errClosing = &refusal{http.StatusServiceUnavailable, "the gateway is shutting down"}

// refusalOf returns the refusal for an error. It has no details of the tus server, which
// are only logged.
func refusalOf(err error) *refusal {
	var r *refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, tus.ErrTooLarge):
		return &refusal{http.StatusRequestEntityTooLarge, "the file is too large"}
	case errors.Is(err, tus.ErrInvalidInput): // only the metadata is from the browser
		return &refusal{http.StatusBadRequest, "a field name cannot be stored as metadata"}
	}
	return &refusal{http.StatusBadGateway, "the file could not be stored"}
}

func respondError(w http.ResponseWriter, err error) {
	r := refusalOf(err)
	if r.code == http.StatusServiceUnavailable || r.code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "10")
	}
	respond(w, r.code, map[string]string{"error": r.text})
}

func respond(w http.ResponseWriter, code int, content any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(content) // the browser may have disconnected
}
