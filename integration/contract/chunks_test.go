package contract_test

// chunks follows the section PATCH: all remaining bytes in one request, or several smaller
// ones; and what POST says of empty files.
func chunks() []scenario {
	return []scenario{
		{
			name:   "an empty source is complete at its creation",
			source: source{empty: true},
			exchanges: `
				> POST /files/ | Upload-Length: 0
				< 201 | Location: /files/a
				?> HEAD /files/a
				?< 200 | Upload-Offset: 0 | Upload-Length: 0`,
			want: outcome{url: "/files/a", events: "created /files/a, complete"},
		},
		{
			name:   "an empty source has no body in the creation",
			source: source{empty: true},
			server: server{extensions: "creation,creation-with-upload"},
			exchanges: `
				> POST /files/ | Upload-Length: 0
				< 201 | Location: /files/a | Upload-Offset: 0`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "an empty source has no parts",
			source:  source{empty: true},
			options: options{parallel: 2},
			exchanges: `
				> POST /files/ | Upload-Length: 0
				< 201 | Location: /files/a
				?> HEAD /files/a
				?< 200 | Upload-Offset: 0 | Upload-Length: 0`,
			want: outcome{url: "/files/a"},
		},
		{
			name:   "an empty stream is an empty upload",
			source: source{empty: true, kind: "stream"},
			exchanges: `
				> POST /files/ | Upload-Length: 0
				< 201 | Location: /files/a
				?> HEAD /files/a
				?< 200 | Upload-Offset: 0 | Upload-Length: 0`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "no request has more than a chunk",
			options: options{chunk: 4},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-4
				< 204 | Upload-Offset: 4
				> PATCH /files/a | Upload-Offset: 4 | body 4-8
				< 204 | Upload-Offset: 8
				> PATCH /files/a | Upload-Offset: 8 | body 8-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "no empty request follows the last full chunk",
			source:  source{text: "ten bytes!"},
			options: options{chunk: 5},
			exchanges: `
				> POST /files/ | Upload-Length: 10
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-5
				< 204 | Upload-Offset: 5
				> PATCH /files/a | Upload-Offset: 5 | body 5-10
				< 204 | Upload-Offset: 10`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a chunk size above the size is one request",
			options: options{chunk: 1000},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a refused chunk is sent in smaller ones, down to a limit",
			options: options{chunk: 8, minChunk: 4},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-8
				< 413
				?> HEAD /files/a
				?< 200 | Upload-Offset: 0 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 0 | body 0-4
				< 204 | Upload-Offset: 4
				> PATCH /files/a | Upload-Offset: 4 | body 4-8
				< 204 | Upload-Offset: 8
				> PATCH /files/a | Upload-Offset: 8 | body 8-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
	}
}
