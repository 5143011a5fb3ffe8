package contract_test

import "github.com/seed-175555ba/tus-go/tus"

// creation follows the sections Creation and POST.
func creation() []scenario {
	return []scenario{
		{
			name: "an upload is created with its length, then sent",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: http://tus.test/files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name: "metadata are pairs of a key and a value in Base64, which may be empty",
			options: options{metadata: tus.Metadata{
				"filename": "world_domination_plan.pdf", "title": "Über 100 €", "is_confidential": "",
			}},
			exchanges: `
				> POST /files/ | Upload-Length: 11 | Upload-Metadata: filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential,title w5xiZXIgMTAwIOKCrA==
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a metadata key with a space is refused before any request",
			options: options{metadata: tus.Metadata{"file name": "a.txt"}},
			want:    outcome{err: tus.ErrInvalidInput},
		},
		{
			name: "a Location that is an absolute path is resolved against the endpoint",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /uploads/a
				> PATCH /uploads/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/uploads/a"},
		},
		{
			name: "a Location that is a relative path is resolved against the endpoint",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: a?part=1
				> PATCH /files/a?part=1 | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a?part=1"},
		},
		{
			name: "a Location without a scheme keeps that of the endpoint",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: //storage.test/b/a
				> PATCH http://storage.test/b/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "http://storage.test/b/a"},
		},
		{
			name:    "the query of the endpoint is sent with the creation",
			options: options{endpoint: "/files?tenant=7"},
			exchanges: `
				> POST /files?tenant=7 | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name: "a creation without a Location is an error",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201`,
			want: outcome{err: tus.ErrProtocol, method: "POST"},
		},
		{
			name: "a creation refused as too large is not retried",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 413 | text at most 10 bytes`,
			want: outcome{err: tus.ErrTooLarge, status: 413, message: "at most 10 bytes"},
		},
		{
			name:   "a source above Tus-Max-Size is refused without a creation",
			server: server{maxSize: "10"},
			want:   outcome{err: tus.ErrTooLarge},
		},
		{
			name:   "a source of exactly Tus-Max-Size is sent",
			server: server{maxSize: "11"},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name: "a Location is relative to the URL that a redirect leads to",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 307 | Location: /v2/files/
				> POST /v2/files/ | Upload-Length: 11
				< 201 | Location: a
				> PATCH /v2/files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/v2/files/a"},
		},
		{
			name:   "a server that does not respond to OPTIONS can be used",
			server: server{status: 404},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:   "what the server offers is listed",
			call:   offers,
			server: server{extensions: "creation, expiration,checksum", algorithms: "sha1,md5", maxSize: "1073741824"},
			want:   outcome{offers: "[creation expiration checksum] [sha1 md5] 1073741824"},
		},
		{
			name: "responses without Tus-Resumable are accepted",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a | no Tus-Resumable
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11 | no Tus-Resumable`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "an upload is created without sending it, and sent by its URL later",
			call:    create,
			options: options{metadata: tus.Metadata{"filename": "a"}},
			exchanges: `
				> POST /files/ | Upload-Length: 11 | Upload-Metadata: filename YQ==
				< 201 | Location: /files/a`,
			want: outcome{url: "/files/a"},
			then: []scenario{{
				call: resume, url: "/files/a",
				exchanges: `
					> HEAD /files/a
					< 200 | Upload-Offset: 0 | Upload-Length: 11 | Upload-Metadata: filename YQ==
					> PATCH /files/a | Upload-Offset: 0 | body 0-11
					< 204 | Upload-Offset: 11`,
				want: outcome{url: "/files/a"},
			}},
		},
	}
}
