package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/doctor"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/text"
	"github.com/seed-175555ba/tus-go/tus"
)

// doctorCommand tries a server.
type doctorCommand struct {
	URL       flagURL       `arg:"" optional:"" name:"URL" help:"Upload creation URL to try (default: the endpoint)."`
	Metadata  []string      `help:"Metadata of the test uploads, which some servers require (default: filename=tusup-doctor). May be repeated." placeholder:"K=V" sep:"none"`
	Size      size          `help:"Size of the upload that is interrupted and resumed (default: 512KiB)." default:"512KiB" placeholder:"SIZE"`
	ChunkSize size          `help:"Size of its first request; 0 means half of it, or what the server accepts." default:"0" placeholder:"SIZE"`
	MaxBody   size          `help:"Largest request to try; 0 means 8MiB, and 1MiB if the server does not delete uploads." default:"0" placeholder:"SIZE"`
	Timeout   time.Duration `help:"Timeout for a request on which no data moves." default:"10s"`
}

// Run tries the server and prints what it found. The error is errFailed if uploads do not
// resume.
func (d *doctorCommand) Run(ctx context.Context, p *program, c *common) error {
	config, err := d.config(p, c)
	if err != nil {
		return err
	}
	if !c.JSON {
		config.OnFinding = func(f doctor.Finding) { printFinding(p.stdout, f) }
	}
	report := doctor.Run(ctx, config)
	if c.JSON {
		out := &output{program: p, json: true}
		out.print(report)
	} else {
		printVerdict(p.stdout, report)
	}
	if !report.Resumes {
		return errFailed
	}
	return nil
}

// config returns what to try.
func (d *doctorCommand) config(p *program, c *common) (doctor.Config, error) {
	if d.URL != "" {
		c.Endpoint = d.URL
	}
	endpoint := c.endpoint()
	switch {
	case endpoint == "":
		return doctor.Config{}, usagef("no endpoint: use --endpoint or set TUS_ENDPOINT")
	case d.Size < doctor.MinSize:
		return doctor.Config{}, usagef("--size %d: must be at least %d bytes", d.Size, doctor.MinSize)
	case d.Timeout <= 0:
		return doctor.Config{}, usagef("--timeout %v: must be positive", d.Timeout)
	}
	metadata, err := (&naming{Metadata: d.Metadata}).metadata()
	if err != nil {
		return doctor.Config{}, err
	}
	header, err := c.sentHeader(p, endpoint)
	if err != nil {
		return doctor.Config{}, err
	}
	client, err := c.httpClient(p, endpoint)
	if err != nil {
		return doctor.Config{}, err
	}
	if client == nil {
		client = &http.Client{Transport: tus.NewTransport()}
	}
	over2 := *c
	over2.HTTP2 = true
	http2, err := over2.httpClient(p, endpoint)
	if err != nil {
		return doctor.Config{}, err
	}
	return doctor.Config{
		Endpoint: endpoint, Client: client, HTTP2: http2, Header: header, TrustedOrigins: c.trustedOrigins(), OverridePatch: c.MethodOverride,
		Metadata: metadata, Size: int64(d.Size), ChunkSize: int64(d.ChunkSize), MaxBody: int64(d.MaxBody), Timeout: d.Timeout,
		LoginAdvice: c.loginAdvice(endpoint),
	}, nil
}

// errNotSent ends a request before it is sent.
var errNotSent = errors.New("not sent")

// sentHeader returns the header that the client of this library sends to the endpoint: it
// decides which credentials go there.
func (c *common) sentHeader(p *program, endpoint string) (http.Header, error) {
	var header http.Header
	client, err := c.newClient(p, endpoint, tus.Options{Hooks: tus.Hooks{
		BeforeRequest: func(r *http.Request) error {
			header = r.Header.Clone()
			header.Del("Tus-Resumable") // of the request, not of the caller
			header.Del("Cache-Control")
			if r.Host != r.URL.Host {
				header.Set("Host", r.Host)
			}
			return errNotSent
		},
	}})
	if err != nil {
		return nil, err
	}
	if _, err := client.Info(context.Background(), endpoint); !errors.Is(err, errNotSent) {
		return nil, err
	}
	return header, nil
}

// loginAdvice returns how to send credentials to the endpoint.
func (c *common) loginAdvice(endpoint string) string {
	refused := &tus.Error{Method: http.MethodPost, URL: endpoint, StatusCode: http.StatusUnauthorized, Err: tus.ErrUnauthorized}
	if _, withheld, ok := strings.Cut(c.withAdvice(refused).Error(), refused.Error()+"; "); ok {
		return withheld
	}
	return "set TUS_TOKEN, or use --header 'Authorization: …'"
}

// Columns of the report.
const (
	reportWidth  = 80
	checkWidth   = 22
	outcomeWidth = 9
)

// printFinding prints one line per finding, wrapped, and its advice below it.
func printFinding(w io.Writer, f doctor.Finding) {
	indent := strings.Repeat(" ", checkWidth+outcomeWidth)
	fmt.Fprintf(w, "%-*s%-*s%s\n", checkWidth, oneLine(f.Check), outcomeWidth, f.Outcome,
		wrapped(oneLine(f.Detail), indent))
	if f.Advice != "" {
		fmt.Fprintf(w, "%s→ %s\n", indent, wrapped(oneLine(f.Advice), indent+"  "))
	}
}

// printVerdict prints the flags to copy, and as the last line whether uploads resume.
func printVerdict(w io.Writer, r doctor.Report) {
	fmt.Fprintln(w)
	if len(r.Flags) > 0 {
		words := []string{"tusup"}
		for _, word := range r.Flags {
			if plain := strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-,./:"); plain != "" {
				word = shellQuote(word)
			}
			words = append(words, word)
		}
		fmt.Fprintf(w, "recommended: %s\n", strings.Join(words, " "))
	} else if r.Resumes {
		fmt.Fprintln(w, "recommended: no flags are required")
	}
	fmt.Fprintln(w, oneLine(r.Reason))
}

// wrapped breaks s at spaces into lines that fit the report after indent. A word that is
// longer than a line, such as a URL, is not broken.
func wrapped(s, indent string) string {
	var b strings.Builder
	column := len(indent)
	for i, word := range strings.Fields(s) {
		width := text.Columns(word)
		switch {
		case i == 0:
		case column+1+width > reportWidth:
			b.WriteString("\n" + indent)
			column = len(indent)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += width
	}
	return b.String()
}
