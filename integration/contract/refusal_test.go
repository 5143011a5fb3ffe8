package contract_test

import "github.com/seed-175555ba/tus-go/tus"

// refusals has the responses to POST and PATCH that are no success.
func refusals() []scenario {
	const created = `
		> POST /files/ | Upload-Length: 11
		< 201 | Location: /files/a
		> PATCH /files/a | Upload-Offset: 0 | body 0-11`
	const anew = `
		> POST /files/ | Upload-Length: 11
		< 201 | Location: /files/b
		> PATCH /files/b | Upload-Offset: 0 | body 0-5
		< 204 | Upload-Offset: 5
		> PATCH /files/b | Upload-Offset: 5 | body 5-10
		< 204 | Upload-Offset: 10
		> PATCH /files/b | Upload-Offset: 10 | body 10-11
		< 204 | Upload-Offset: 11`
	const half = `
		> POST /files/ | Upload-Length: 11
		< 201 | Location: /files/a
		> PATCH /files/a | Upload-Offset: 0 | body 0-5
		< 204 | Upload-Offset: 5
		> PATCH /files/a | Upload-Offset: 5 | body 5-10`
	return []scenario{
		{
			name: "409 to a PATCH: the offset is requested and used",
			exchanges: created + `
				< 409
				> HEAD /files/a
				< 200 | Upload-Offset: 3 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 3 | body 3-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "409 to a PATCH at the offset of the server: retried as often as the delays allow",
			options: options{delays: zero(2)},
			exchanges: created + `
				< 409
				> HEAD /files/a
				< 200 | Upload-Offset: 0 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 409
				> HEAD /files/a
				< 200 | Upload-Offset: 0 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 409`,
			want: outcome{status: 409, method: "PATCH"},
		},
		{
			name: "423 to a PATCH: the offset is requested later",
			exchanges: created + `
				< 423
				> HEAD /files/a
				< 200 | Upload-Offset: 0 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "404 to a PATCH in the middle: a new upload is created",
			options: options{chunk: 5},
			exchanges: half + `
				< 404
				?> HEAD /files/a
				?< 404` + anew,
			want: outcome{url: "/files/b"},
		},
		{
			name:    "410 to a PATCH in the middle: a new upload is created",
			options: options{chunk: 5},
			exchanges: half + `
				< 410
				?> HEAD /files/a
				?< 410` + anew,
			want: outcome{url: "/files/b"},
		},
		{
			name: "410 to a PATCH of an upload by its URL: an error, and none is created",
			call: resume, url: "/files/a", options: options{chunk: 3},
			exchanges: `
				> HEAD /files/a
				< 200 | Upload-Offset: 5 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 5 | body 5-8
				< 410
				?> HEAD /files/a
				?< 410`,
			want: outcome{err: tus.ErrUploadGone, status: 410},
		},
		{
			name: "403 to a PATCH: an error that is not retried",
			exchanges: created + `
				< 403 | text quota exceeded
				?> HEAD /files/a
				?< 200 | Upload-Offset: 0 | Upload-Length: 11`,
			want: outcome{err: tus.ErrUnauthorized, status: 403, method: "PATCH", message: "quota exceeded"},
		},
		{
			name: "401 to a creation: an error, after one more request with renewed credentials",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 401
				?> POST /files/ | Upload-Length: 11
				?< 401`,
			want: outcome{err: tus.ErrUnauthorized, status: 401, method: "POST"},
		},
		{
			name: "400 to a creation: an error that is not retried",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 400 | text no such project`,
			want: outcome{status: 400, method: "POST", message: "no such project"},
		},
		{
			name: "412 to a creation: the version of the protocol is not supported",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 412 | Tus-Version: 0.2.2`,
			want: outcome{err: tus.ErrUnsupported, status: 412},
		},
		{
			name: "413 to a PATCH: an error that is not retried",
			exchanges: created + `
				< 413`,
			want: outcome{err: tus.ErrTooLarge, status: 413, method: "PATCH"},
		},
		{
			name: "502 and 504 to HEAD: it is retried",
			call: resume, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 502 | no Tus-Resumable
				> HEAD /files/a
				< 504 | no Tus-Resumable
				> HEAD /files/a
				< 200 | Upload-Offset: 5 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 5 | body 5-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
	}
}
