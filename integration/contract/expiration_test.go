package contract_test

import (
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

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
