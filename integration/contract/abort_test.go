package contract_test

import (
	"context"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// abort follows the section Termination, and what the clients agree on when a program stops
// an upload.
func abort() []scenario {
	const sending = `
		> POST /files/ | Upload-Length: 11
		< 201 | Location: /files/a
		> PATCH /files/a | Upload-Offset: 0 | body 0-11
		< hang`
	return []scenario{
		{
			name:      "a paused upload stays on the server, and is resumed",
			stop:      "pause at request PATCH",
			exchanges: sending,
			want:      outcome{err: tus.ErrPaused, events: "created /files/a, paused"},
			then: []scenario{{
				call: again,
				exchanges: `
					> HEAD /files/a
					< 200 | Upload-Offset: 6 | Upload-Length: 11
					> PATCH /files/a | Upload-Offset: 6 | body 6-11
					< 204 | Upload-Offset: 11`,
				want: outcome{url: "/files/a", events: "acknowledged 6, acknowledged 11, complete"},
			}},
		},
		{
			name:      "an upload whose context ends stays on the server",
			stop:      "cancel at request PATCH",
			options:   options{store: true},
			exchanges: sending,
			want:      outcome{err: context.Canceled, stored: "/files/a"},
		},
		{
			name:    "nothing is sent after a pause between two chunks",
			stop:    "pause at acknowledged 6",
			options: options{chunk: 6},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-6
				< 204 | Upload-Offset: 6`,
			want: outcome{err: tus.ErrPaused, offset: 6},
		},
		{
			name: "nothing is sent after a pause during the creation",
			stop: "pause at request POST",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< hang`,
			want: outcome{err: tus.ErrPaused, events: "paused"},
		},
		{
			name:    "an aborted upload is deleted on the server and from the store",
			stop:    "abort at request PATCH",
			options: options{store: true},
			exchanges: sending + `
				> DELETE /files/a
				< 204`,
			want: outcome{err: tus.ErrAborted, lastEvents: "aborted"},
		},
		{
			name:    "an upload that waits for a retry is deleted at once",
			stop:    "abort at retry 1",
			options: options{delays: []time.Duration{time.Hour}},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 500
				> DELETE /files/a
				< 204`,
			want: outcome{err: tus.ErrAborted},
		},
		{
			name: "an upload is deleted by its URL",
			call: terminate, url: "/files/a",
			exchanges: `
				> DELETE /files/a
				< 204`,
		},
		{
			name: "a deletion is retried while the upload is locked",
			call: terminate, url: "/files/a",
			exchanges: `
				> DELETE /files/a
				< 423
				> DELETE /files/a
				< 204`,
		},
		{
			name: "a deletion is retried as often as the delays allow",
			call: terminate, url: "/files/a",
			options: options{delays: zero(2)},
			exchanges: `
				> DELETE /files/a
				< 423
				> DELETE /files/a
				< 423
				> DELETE /files/a
				< 423`,
			want: outcome{status: 423, method: "DELETE"},
		},
		{
			name: "a deletion whose response is lost is retried",
			call: terminate, url: "/files/a",
			exchanges: `
				> DELETE /files/a
				< cut
				> DELETE /files/a
				< 404
				?> HEAD /files/a
				?< 404`,
		},
		{
			name: "an upload that is gone is deleted",
			call: terminate, url: "/files/a",
			exchanges: `
				> DELETE /files/a
				< 410
				?> HEAD /files/a
				?< 410`,
		},
		{
			name: "a server that does not delete uploads is an error",
			call: terminate, url: "/files/a",
			exchanges: `
				> DELETE /files/a
				< 405`,
			want: outcome{err: tus.ErrUnsupported, status: 405, method: "DELETE"},
		},
	}
}
