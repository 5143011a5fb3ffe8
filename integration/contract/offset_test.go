package contract_test

import (
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

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
			name: "a PATCH that stores a part of its bytes is continued from there",
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
			name: "an offset beyond the length in a HEAD is an error",
			call: resume, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 200 | Upload-Offset: 12 | Upload-Length: 11`,
			want: outcome{err: tus.ErrProtocol, method: "HEAD"},
		},
		{
			name:    "acknowledged bytes that the server lost are sent again",
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

// checksums follows the section Checksum.
func checksums() []scenario {
	offered := server{extensions: "creation,checksum", algorithms: "md5,sha1,crc32"}
	return []scenario{
		{
			name:    "each PATCH has the checksum of its bytes",
			server:  offered,
			options: options{checksum: "sha1", chunk: 6},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | Upload-Checksum: sha1 xNhxrROtAP3pp7t/9+0lQ67FQkE= | body 0-6
				< 204 | Upload-Offset: 6
				> PATCH /files/a | Upload-Offset: 6 | Upload-Checksum: sha1 fCEUM/AgcVl3Qeb/Wo6jR4mrv0M= | body 6-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a chunk whose checksum does not match is sent again",
			server:  offered,
			options: options{checksum: "sha1"},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0= | body 0-11
				< 460
				?> HEAD /files/a
				?< 200 | Upload-Offset: 0 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 0 | Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0= | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a checksum that never matches is an error",
			server:  offered,
			options: options{checksum: "sha1", delays: zero(0)},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0= | body 0-11
				< 460`,
			want: outcome{err: tus.ErrChecksumMismatch, status: 460},
		},
		{
			name:    "an algorithm that the server does not have is refused before the creation",
			server:  offered,
			options: options{checksum: "sha512"},
			want:    outcome{err: tus.ErrUnsupported},
		},
		{
			name:    "the checksum follows the bytes if the server reads trailers",
			server:  server{extensions: "creation,checksum,checksum-trailer", algorithms: "sha1"},
			options: options{checksum: "sha1"},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | trailer Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0= | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
	}
}

// expiration follows the section Expiration. The clock of a scenario starts with the year 2000.
func expiration() []scenario {
	keep := options{store: true, chunk: 5}
	return []scenario{
		{
			name: "the result has the expiry of the creation",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a | Upload-Expires: Sun, 02 Jan 2000 00:00:00 GMT
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a", expires: "Sun, 02 Jan 2000 00:00:00 GMT"},
		},
		{
			name:    "the expiry changes with each PATCH",
			options: keep,
			stop:    "pause at acknowledged 10",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a | Upload-Expires: Sun, 02 Jan 2000 00:00:00 GMT
				> PATCH /files/a | Upload-Offset: 0 | body 0-5
				< 204 | Upload-Offset: 5 | Upload-Expires: Sun, 02 Jan 2000 01:00:00 GMT
				> PATCH /files/a | Upload-Offset: 5 | body 5-10
				< 204 | Upload-Offset: 10 | Upload-Expires: Sun, 02 Jan 2000 02:00:00 GMT`,
			want: outcome{err: tus.ErrPaused, offset: 10, stored: "/files/a", expires: "Sun, 02 Jan 2000 02:00:00 GMT"},
		},
		{
			name:    "a stored upload that has expired is replaced by a new one",
			options: keep,
			stop:    "pause at acknowledged 5",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a | Upload-Expires: Sat, 01 Jan 2000 01:00:00 GMT
				> PATCH /files/a | Upload-Offset: 0 | body 0-5
				< 204 | Upload-Offset: 5`,
			want: outcome{err: tus.ErrPaused, offset: 5, stored: "/files/a"},
			then: []scenario{{
				after:   2 * time.Hour,
				options: options{store: true},
				exchanges: `
					?> HEAD /files/a
					?< 410
					> POST /files/ | Upload-Length: 11
					< 201 | Location: /files/b
					> PATCH /files/b | Upload-Offset: 0 | body 0-11
					< 204 | Upload-Offset: 11`,
				want: outcome{url: "/files/b"},
			}},
		},
		{
			name:    "a stored upload before its expiry is resumed",
			options: keep,
			stop:    "pause at acknowledged 5",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a | Upload-Expires: Sat, 01 Jan 2000 03:00:00 GMT
				> PATCH /files/a | Upload-Offset: 0 | body 0-5
				< 204 | Upload-Offset: 5`,
			want: outcome{err: tus.ErrPaused, offset: 5, stored: "/files/a"},
			then: []scenario{{
				after:   2 * time.Hour,
				options: options{store: true},
				exchanges: `
					> HEAD /files/a
					< 200 | Upload-Offset: 5 | Upload-Length: 11
					> PATCH /files/a | Upload-Offset: 5 | body 5-11
					< 204 | Upload-Offset: 11`,
				want: outcome{url: "/files/a"},
			}},
		},
	}
}
