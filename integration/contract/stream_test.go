package contract_test

import "github.com/seed-175555ba/tus-go/tus"

// deferredLength follows the section Creation, Upload-Defer-Length.
func deferredLength() []scenario {
	return []scenario{
		{
			name:    "the length of a stream is sent once it is known",
			source:  source{kind: "stream"},
			options: options{chunk: 5},
			exchanges: `
				> POST /files/ | Upload-Defer-Length: 1
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-5
				< 204 | Upload-Offset: 5
				> PATCH /files/a | Upload-Offset: 5 | body 5-10
				< 204 | Upload-Offset: 10
				> PATCH /files/a | Upload-Offset: 10 | Upload-Length: 11 | body 10-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "the length of a stream that ends with a full chunk may follow in an empty request",
			source:  source{kind: "stream", text: "ten bytes!"},
			options: options{chunk: 5},
			exchanges: `
				> POST /files/ | Upload-Defer-Length: 1
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-5
				< 204 | Upload-Offset: 5
				> PATCH /files/a | Upload-Offset: 5 | body 5-10
				< 204 | Upload-Offset: 10
				> PATCH /files/a | Upload-Offset: 10 | Upload-Length: 10
				< 204 | Upload-Offset: 10`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a known length is deferred by option",
			options: options{chunk: 6, deferLength: true},
			exchanges: `
				> POST /files/ | Upload-Defer-Length: 1
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-6
				< 204 | Upload-Offset: 6
				> PATCH /files/a | Upload-Offset: 6 | Upload-Length: 11 | body 6-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a deferred length is sent after a failure as well",
			options: options{deferLength: true},
			exchanges: `
				> POST /files/ | Upload-Defer-Length: 1
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | Upload-Length: 11 | body 0-11
				< 500
				> HEAD /files/a
				< 200 | Upload-Offset: 6 | Upload-Defer-Length: 1
				> PATCH /files/a | Upload-Offset: 6 | Upload-Length: 11 | body 6-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a long stream needs the extension",
			source:  source{kind: "stream"},
			server:  server{extensions: "creation"},
			options: options{chunk: 5},
			want:    outcome{err: tus.ErrUnsupported},
		},
		{
			name:    "a stream of known size does not need the extension",
			source:  source{kind: "sized"},
			server:  server{extensions: "creation"},
			options: options{chunk: 6},
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
			name:    "bytes of a stream that were not stored are resent",
			source:  source{kind: "stream"},
			options: options{chunk: 6},
			exchanges: `
				> POST /files/ | Upload-Defer-Length: 1
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-6
				< 500
				> HEAD /files/a
				< 200 | Upload-Offset: 2 | Upload-Defer-Length: 1
				> PATCH /files/a | Upload-Offset: 2 | body 2-6
				< 204 | Upload-Offset: 6
				> PATCH /files/a | Upload-Offset: 6 | Upload-Length: 11 | body 6-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a stream that ends before its size is an error",
			source:  source{kind: "sized", ends: 8},
			options: options{chunk: 6},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-6
				< 204 | Upload-Offset: 6
				?> PATCH /files/a | Upload-Offset: 6 | body 6-8
				?< 204 | Upload-Offset: 8`,
			want: outcome{err: tus.ErrSourceMismatch},
		},
		{
			name:    "a stream that fails is an error, and not retried",
			source:  source{kind: "sized", fails: 8},
			options: options{chunk: 6},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-6
				< 204 | Upload-Offset: 6
				?> PATCH /files/a | Upload-Offset: 6 | body 6-8
				?< 204 | Upload-Offset: 8`,
			want: outcome{err: errSource},
		},
	}
}
