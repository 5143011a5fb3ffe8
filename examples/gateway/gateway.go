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

// options says what a gateway takes. The zero value works.
type options struct {
	// maxBytes is the largest form in bytes. 0 means 10 GiB.
	maxBytes int64
	// chunkSize is how many bytes one request to the tus server carries. Two
	// chunks are held in memory for each upload. 0 means 4 MiB.
	chunkSize int64
	// maxActive is how many uploads there may be at the same time; others are
	// told to come back. 0 means 16.
	maxActive int
	// maxPerClient is how many of them one client may have. 0 means a quarter of
	// maxActive, at least 1.
	maxPerClient int
	// clientHeader is the field in which a proxy tells the client; see clientOf.
	clientHeader string
	// keep is how many complete uploads are remembered, for their status, and how many
	// failed ones. 0 means 1000.
	keep int
	// headTimeout is how long a browser may take for what comes before the file of a
	// form, and for what follows it. 0 means ten seconds.
	headTimeout time.Duration
	// idleTimeout is how long a browser may be waited for until it has sent 16 KiB
	// more. 0 means 30 seconds.
	idleTimeout time.Duration
	// maxWait is how long a GET with wait=true is held. 0 means 30 seconds.
	maxWait time.Duration
	// log is told of uploads that failed; nil means nobody.
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

func setDefault[T ~int | ~int64](value *T, otherwise T) {
	if *value <= 0 {
		*value = otherwise
	}
}

// gateway streams forms into a tus server.
type gateway struct {
	client *tus.Client
	opts   options
	jobs   *jobs

	giveUp  context.Context // ends when uploads under way are to be given up
	abandon context.CancelFunc
}

func newGateway(client *tus.Client, opts options) *gateway {
	g := &gateway{client: client, opts: opts.withDefaults()}
	g.jobs = newJobs(g.opts)
	g.giveUp, g.abandon = context.WithCancel(context.Background())
	return g
}

func (g *gateway) register(mux *http.ServeMux) {
	mux.HandleFunc("POST /uploads", g.receive)
	mux.HandleFunc("POST /uploads/{id}", g.receive)
	mux.HandleFunc("GET /uploads/{id}", g.show)
}

// shutdown takes no more forms and waits for the uploads that there are. When ctx
// ends, they are given up, which deletes what they have on the tus server. It reports
// whether there were any.
func (g *gateway) shutdown(ctx context.Context) (waited bool) {
	stop := context.AfterFunc(ctx, g.abandon)
	defer stop()
	return g.jobs.close()
}

// receive reads a form and answers when all of it has arrived, or cannot be used.
func (g *gateway) receive(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if id == "" {
		id = rand.Text()
	}
	j, err := g.jobs.open(id, clientOf(r, g.opts.clientHeader), r.ContentLength)
	if err != nil {
		answerError(w, err)
		return
	}
	b := newBody(w, r, g.opts)
	defer b.rest()
	defer context.AfterFunc(g.giveUp, b.interrupt)()
	f, err := openForm(b, r)
	if err != nil {
		// A page whose form is refused by its size may see its status only.
		g.jobs.end(j, err, b.begun || errors.Is(err, errFormTooLarge))
		answerError(w, err)
		return
	}
	j.receives(f)
	go func() {
		// The values of the request go along, for tracing; its end does not matter:
		// the last chunks are sent after it.
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		defer cancel()
		defer context.AfterFunc(g.giveUp, cancel)()
		err := g.store(ctx, j, f)
		if err != nil && g.giveUp.Err() != nil {
			err = errClosing
		}
		g.jobs.end(j, err, true)
	}()
	select {
	case <-f.over:
	case <-j.done: // the tus server did not want it
	}
	if err := cmp.Or(f.failure(), j.failure()); err != nil {
		answerError(w, err)
		return
	}
	w.Header().Set("Location", "/uploads/"+id)
	answer(w, http.StatusAccepted, j.status())
}

// store sends the file of a form to the tus server. What it cannot finish it
// deletes there.
func (g *gateway) store(ctx context.Context, j *job, f *form) error {
	u, err := g.client.NewUploader(tus.Reader(f), &tus.UploadOptions{
		ChunkSize: g.opts.chunkSize,
		Metadata:  f.metadata,
	})
	if err != nil {
		return err
	}
	j.stores(u)
	_, err = u.Run(ctx)
	if err == nil {
		return nil
	}
	g.opts.log.WarnContext(ctx, "upload failed", "id", j.status().ID, "received", f.received.Load(), "stored", u.Offset(), "error", err)
	const patience = 15 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if abortErr := u.Abort(ctx); abortErr != nil {
		// It is not complete, so that the server may let it expire.
		g.opts.log.WarnContext(ctx, "unfinished upload stays on the tus server", "id", j.status().ID, "error", abortErr)
	}
	return err
}

// show answers with the status of an upload: 202 while it goes on, 200 when it
// ended, well or not.
func (g *gateway) show(w http.ResponseWriter, r *http.Request) {
	j, err := g.jobs.find(r.PathValue("id"))
	if err != nil {
		answerError(w, err)
		return
	}
	wait := false
	if value := r.URL.Query().Get("wait"); value != "" {
		if wait, err = strconv.ParseBool(value); err != nil {
			answerError(w, &refusal{http.StatusBadRequest, "wait is true or false"})
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
	answer(w, code, s)
}

// refusal is an error that the browser is told.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return r.text }

var errClosing = &refusal{http.StatusServiceUnavailable, "the gateway is being stopped"}

// refusalOf is what a browser is told of an error: nothing of the insides of the
// tus server, which are in the log.
func refusalOf(err error) *refusal {
	var r *refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, tus.ErrTooLarge):
		return &refusal{http.StatusRequestEntityTooLarge, "the file is too large"}
	case errors.Is(err, tus.ErrInvalidInput): // metadata: nothing else is the browser's
		return &refusal{http.StatusBadRequest, "a field has a name that cannot be stored"}
	}
	return &refusal{http.StatusBadGateway, "the file could not be stored"}
}

func answerError(w http.ResponseWriter, err error) {
	r := refusalOf(err)
	if r.code == http.StatusServiceUnavailable || r.code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "10")
	}
	answer(w, r.code, map[string]string{"error": r.text})
}

func answer(w http.ResponseWriter, code int, content any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(content) // the browser may be gone
}
