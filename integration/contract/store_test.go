package contract_test

import (
	"context"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// store has what the clients agree on: an upload is found again by a fingerprint of its
// source, and its URL is kept until the upload is complete.
func store() []scenario {
	keep := options{store: true, chunk: 5}
	const half = `
		> POST /files/ | Upload-Length: 11
		< 201 | Location: /files/a
		> PATCH /files/a | Upload-Offset: 0 | body 0-5
		< 204 | Upload-Offset: 5`
	interrupted := scenario{
		options: keep, stop: "pause at acknowledged 5", exchanges: half,
		want: outcome{err: tus.ErrPaused, offset: 5, stored: "/files/a"},
	}
	first := func(name string, then ...scenario) scenario {
		s := interrupted
		s.name, s.then = name, then
		return s
	}
	const anew = `
		> POST /files/ | Upload-Length: 11
		< 201 | Location: /files/b
		> PATCH /files/b | Upload-Offset: 0 | body 0-5
		< 204 | Upload-Offset: 5
		> PATCH /files/b | Upload-Offset: 5 | body 5-10
		< 204 | Upload-Offset: 10
		> PATCH /files/b | Upload-Offset: 10 | body 10-11
		< 204 | Upload-Offset: 11`
	return []scenario{
		first("an interrupted upload is found and removed when it is complete", scenario{
			options: keep,
			exchanges: `
				> HEAD /files/a
				< 200 | Upload-Offset: 5 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 5 | body 5-10
				< 204 | Upload-Offset: 10
				> PATCH /files/a | Upload-Offset: 10 | body 10-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a", events: "resumed /files/a at 5, acknowledged 10, acknowledged 11, complete"},
		}),
		{
			name:    "an upload is stored before its first byte is acknowledged",
			options: keep,
			stop:    "cancel at request PATCH",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-5
				< hang`,
			want: outcome{err: context.Canceled, stored: "/files/a"},
			then: []scenario{{
				options: options{store: true},
				exchanges: `
					> HEAD /files/a
					< 200 | Upload-Offset: 3 | Upload-Length: 11
					> PATCH /files/a | Upload-Offset: 3 | body 3-11
					< 204 | Upload-Offset: 11`,
				want: outcome{url: "/files/a"},
			}},
		},
		{
			name:    "a complete upload is not kept, so that the source can be uploaded again",
			options: options{store: true},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
			then: []scenario{{
				options: options{store: true},
				exchanges: `
					> POST /files/ | Upload-Length: 11
					< 201 | Location: /files/b
					> PATCH /files/b | Upload-Offset: 0 | body 0-11
					< 204 | Upload-Offset: 11`,
				want: outcome{url: "/files/b"},
			}},
		},
		{
			name:    "a complete upload is kept by option, and not repeated",
			options: options{store: true, remember: time.Hour},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a", stored: "/files/a"},
			then: []scenario{{
				options: options{store: true, remember: time.Hour},
				want:    outcome{url: "/files/a", alreadyComplete: true, stored: "/files/a"},
			}},
		},
		first("the uploads of a source are listed", scenario{
			call: list, options: keep,
			want: outcome{listed: "/files/a", stored: "/files/a"},
		}),
		first("a stored upload that is not found is replaced by a new one", scenario{
			options: keep,
			exchanges: `
				> HEAD /files/a
				< 404` + anew,
			want: outcome{url: "/files/b"},
		}),
		first("a stored upload that is gone is replaced by a new one", scenario{
			options: keep,
			exchanges: `
				> HEAD /files/a
				< 410` + anew,
			want: outcome{url: "/files/b"},
		}),
		first("a stored upload that the server refuses is kept", scenario{
			options: keep,
			exchanges: `
				> HEAD /files/a
				< 403`,
			want: outcome{err: tus.ErrUnauthorized, status: 403, stored: "/files/a"},
		}),
		first("a source with other bytes does not resume the upload", scenario{
			source: source{text: "HELLO WORLD"}, options: keep,
			exchanges: anew,
			want:      outcome{url: "/files/b", stored: "/files/a"},
		}),
		first("a source for another endpoint does not resume the upload", scenario{
			options: options{store: true, chunk: 5, endpoint: "/other/"},
			exchanges: `
				> POST /other/ | Upload-Length: 11
				< 201 | Location: /files/b
				> PATCH /files/b | Upload-Offset: 0 | body 0-5
				< 204 | Upload-Offset: 5
				> PATCH /files/b | Upload-Offset: 5 | body 5-10
				< 204 | Upload-Offset: 10
				> PATCH /files/b | Upload-Offset: 10 | body 10-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/b", stored: "/files/a"},
		}),
		{
			name:    "a fingerprint of the program finds the upload under another name",
			source:  source{name: "a.txt"},
			options: options{store: true, chunk: 5, fingerprint: "asset-7", resumeKey: "asset-7"},
			stop:    "pause at acknowledged 5",
			exchanges: `
				> POST /files/ | Upload-Length: 11 | Upload-Metadata: filename YS50eHQ=
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-5
				< 204 | Upload-Offset: 5`,
			want: outcome{err: tus.ErrPaused, offset: 5, stored: "/files/a"},
			then: []scenario{{
				source:  source{name: "b.txt"},
				options: options{store: true, fingerprint: "asset-7", resumeKey: "asset-7"},
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
