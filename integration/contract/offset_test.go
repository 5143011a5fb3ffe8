package contract_test

import "github.com/seed-175555ba/tus-go/tus"

// offsets follows the section Upload-Offset: a client trusts no offset that it cannot have
// caused.
func offsets() []scenario {
	const created = `
		> POST /files/ | Upload-Length: 11
		< 201 | Location: /files/a
		> PATCH /files/a | Upload-Offset: 0 | body 0-6`
	first := options{chunk: 6}
	return []scenario{
		{
			name: "a PATCH that stores a part of its bytes is resumed from there",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 4
				> PATCH /files/a | Upload-Offset: 4 | body 4-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a", events: "created /files/a, acknowledged 4, acknowledged 11, complete"},
		},
		{
			name: "a PATCH that stores nothing is retried",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 0
				?> HEAD /files/a
				?< 200 | Upload-Offset: 0 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a server that never stores anything is an error",
			options: options{delays: zero(1)},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 0
				?> HEAD /files/a
				?< 200 | Upload-Offset: 0 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 0
				?> HEAD /files/a
				?< 200 | Upload-Offset: 0 | Upload-Length: 11`,
			want: outcome{status: 204, method: "PATCH"},
		},
		{
			name:    "200 acknowledges a PATCH as 204 does",
			options: first,
			exchanges: created + `
				< 200 | Upload-Offset: 6
				> PATCH /files/a | Upload-Offset: 6 | body 6-11
				< 200 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "an offset beyond the bytes that were sent is an error",
			options: first,
			exchanges: created + `
				< 204 | Upload-Offset: 8`,
			want: outcome{err: tus.ErrProtocol, method: "PATCH"},
		},
		{
			name: "an offset below that of the PATCH is an error",
			call: resume, url: "/files/a", options: options{chunk: 3},
			exchanges: `
				> HEAD /files/a
				< 200 | Upload-Offset: 5 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 5 | body 5-8
				< 204 | Upload-Offset: 2`,
			want: outcome{err: tus.ErrProtocol, method: "PATCH"},
		},
		{
			name:    "an offset that is not a number is an error",
			options: first,
			exchanges: created + `
				< 204 | Upload-Offset: six`,
			want: outcome{err: tus.ErrProtocol, method: "PATCH"},
		},
		{
			name:    "a success without an offset does not count as one",
			options: options{chunk: 6, delays: zero(0)},
			exchanges: created + `
				< 204`,
			want: outcome{err: tus.ErrProtocol, method: "PATCH"},
		},
		{
			name: "a negative offset in a HEAD is an error",
			call: resume, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 200 | Upload-Offset: -1 | Upload-Length: 11`,
			want: outcome{err: tus.ErrProtocol, method: "HEAD"},
		},
		{
			name: "an offset in a HEAD that no file can have is an error",
			call: resume, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 200 | Upload-Offset: 99999999999999999999 | Upload-Length: 11`,
			want: outcome{err: tus.ErrProtocol, method: "HEAD"},
		},
		{
			name: "an offset beyond the length in a HEAD is an error",
			call: resume, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 200 | Upload-Offset: 12 | Upload-Length: 11`,
			want: outcome{err: tus.ErrProtocol, method: "HEAD"},
		},
		{
			name: "a length that changes during the upload is an error",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 500
				> HEAD /files/a
				< 200 | Upload-Offset: 5 | Upload-Length: 10`,
			want: outcome{err: tus.ErrSourceMismatch},
		},
		{
			name:    "acknowledged bytes that the server lost are resent",
			options: first,
			exchanges: created + `
				< 204 | Upload-Offset: 6
				> PATCH /files/a | Upload-Offset: 6 | body 6-11
				< 409
				> HEAD /files/a
				< 200 | Upload-Offset: 2 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 2 | body 2-8
				< 204 | Upload-Offset: 8
				> PATCH /files/a | Upload-Offset: 8 | body 8-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
	}
}
