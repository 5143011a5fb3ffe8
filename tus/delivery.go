package tus

import (
	"context"
	"net/url"

	"github.com/seed-175555ba/tus-go/storage"
)

// delivery brings the bytes of a source to the server: a [transfer], or a [parallel] upload.
type delivery interface {
	// step does the work of the current state, with at most one request; a parallel
	// upload: of each part.
	step(ctx context.Context) outcome
	// current returns the state.
	current() State
	// exists reports whether the server has anything of the upload.
	exists() bool
	// account returns what is known of the upload. It may be called from any goroutine.
	account() account
	// inOneRequest reports whether the creation carries all bytes.
	inOneRequest() bool
	// urls returns those of everything that the upload has on the server.
	urls() []*url.URL
	// describe fills in the parts of a record.
	describe(rec *storage.Record)
	// resume is called before the first step after a pause.
	resume()
	// rest ends what is read ahead.
	rest()
	// close frees what is held. No step follows it.
	close()
}
