package contract_test

import "github.com/seed-175555ba/tus-go/tus"

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
			name:    "a source above the first chunk is resumed with PATCH",
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
			name:   "bytes that the creation did not store are resent",
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
			name:   "a creation whose bytes are too many is retried without them",
			server: offered,
			exchanges: `
				> POST /files/ | Upload-Length: 11 | body 0-11
				< 413
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
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
