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

// creationWithUpload follows the section Creation With Upload.
func creationWithUpload() []scenario {
	offered := server{extensions: "creation,creation-with-upload"}
	return []scenario{
		{
			name:   "a source below the first chunk is sent in the creation only",
			server: offered,
			exchanges: `
				> POST /files/ | Upload-Length: 11 | body 0-11
				< 201 | Location: /files/a | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a source above the first chunk is continued with PATCH",
			server:  offered,
			options: options{chunk: 6, firstChunk: true},
			exchanges: `
				> POST /files/ | Upload-Length: 11 | body 0-6
				< 201 | Location: /files/a | Upload-Offset: 6
				> PATCH /files/a | Upload-Offset: 6 | body 6-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:   "bytes that the creation did not store are sent again",
			server: offered,
			exchanges: `
				> POST /files/ | Upload-Length: 11 | body 0-11
				< 201 | Location: /files/a | Upload-Offset: 4
				> PATCH /files/a | Upload-Offset: 4 | body 4-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:   "a creation without an offset has stored nothing, or the offset is requested",
			server: offered,
			exchanges: `
				> POST /files/ | Upload-Length: 11 | body 0-11
				< 201 | Location: /files/a
				?> HEAD /files/a
				?< 200 | Upload-Offset: 0 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "the first chunk of a stream is sent without a length",
			source:  source{kind: "stream"},
			server:  server{extensions: "creation,creation-with-upload,creation-defer-length"},
			options: options{chunk: 6, firstChunk: true},
			exchanges: `
				> POST /files/ | Upload-Defer-Length: 1 | body 0-6
				< 201 | Location: /files/a | Upload-Offset: 6
				> PATCH /files/a | Upload-Offset: 6 | Upload-Length: 11 | body 6-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "the extension is not used if the server does not offer it",
			server:  server{extensions: "creation"},
			options: options{chunk: 6, firstChunk: true},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-6
				< 204 | Upload-Offset: 6
				> PATCH /files/a | Upload-Offset: 6 | body 6-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "an offset beyond the bytes of the creation is an error",
			server:  offered,
			options: options{chunk: 6, firstChunk: true},
			exchanges: `
				> POST /files/ | Upload-Length: 11 | body 0-6
				< 201 | Location: /files/a | Upload-Offset: 7`,
			want: outcome{err: tus.ErrProtocol},
		},
	}
}
