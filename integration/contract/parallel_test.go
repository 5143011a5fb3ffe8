package contract_test

import (
	"context"

	"github.com/seed-175555ba/tus-go/tus"
)

// parallel follows the section Concatenation. The parts have different sizes, by which the
// server tells them apart.
func parallel() []scenario {
	split := options{parallel: 2, boundaries: []int64{4}}
	with := func(change func(*options)) options {
		o := split
		change(&o)
		return o
	}
	const parts = `
		1> POST /files/ | Upload-Length: 4 | Upload-Concat: partial
		1< 201 | Location: /files/1
		2> POST /files/ | Upload-Length: 7 | Upload-Concat: partial
		2< 201 | Location: /files/2
		1> PATCH /files/1 | Upload-Offset: 0 | body 0-4
		1< 204 | Upload-Offset: 4
		2> PATCH /files/2 | Upload-Offset: 0 | body 4-11
		2< 204 | Upload-Offset: 7`
	const final = `
		> POST /files/ | Upload-Concat: final;/files/1 /files/2
		< 201 | Location: /files/a`
	return []scenario{
		{
			name:      "the source is split at the given boundary, and concatenated in order",
			options:   split,
			exchanges: parts + final,
			want:      outcome{url: "/files/a"},
		},
		{
			name:    "three parts are concatenated in the order of their offsets",
			options: options{parallel: 3, boundaries: []int64{2, 5}},
			exchanges: `
				1> POST /files/ | Upload-Length: 2 | Upload-Concat: partial
				1< 201 | Location: /files/z
				2> POST /files/ | Upload-Length: 3 | Upload-Concat: partial
				2< 201 | Location: /files/y
				3> POST /files/ | Upload-Length: 6 | Upload-Concat: partial
				3< 201 | Location: http://tus.test/files/x
				1> PATCH /files/z | Upload-Offset: 0 | body 0-2
				1< 204 | Upload-Offset: 2
				2> PATCH /files/y | Upload-Offset: 0 | body 2-5
				2< 204 | Upload-Offset: 3
				3> PATCH /files/x | Upload-Offset: 0 | body 5-11
				3< 204 | Upload-Offset: 6
				> POST /files/ | Upload-Concat: final;/files/z /files/y /files/x
				< 201 | Location: /files/a`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "the metadata are those of the final upload",
			options: with(func(o *options) { o.metadata = tus.Metadata{"filename": "a"} }),
			exchanges: parts + `
				> POST /files/ | Upload-Concat: final;/files/1 /files/2 | Upload-Metadata: filename YQ==
				< 201 | Location: /files/a`,
			want: outcome{url: "/files/a"},
		},
		{
			name: "the parts have metadata of their own",
			options: with(func(o *options) {
				o.metadata, o.partMetadata = tus.Metadata{"filename": "a"}, tus.Metadata{"part": "yes"}
			}),
			exchanges: `
				1> POST /files/ | Upload-Length: 4 | Upload-Concat: partial | Upload-Metadata: part eWVz
				1< 201 | Location: /files/1
				2> POST /files/ | Upload-Length: 7 | Upload-Concat: partial | Upload-Metadata: part eWVz
				2< 201 | Location: /files/2
				1> PATCH /files/1 | Upload-Offset: 0 | body 0-4
				1< 204 | Upload-Offset: 4
				2> PATCH /files/2 | Upload-Offset: 0 | body 4-11
				2< 204 | Upload-Offset: 7
				> POST /files/ | Upload-Concat: final;/files/1 /files/2 | Upload-Metadata: filename YQ==
				< 201 | Location: /files/a`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a part that fails is retried, and the other is not resent",
			options: split,
			exchanges: `
				1> POST /files/ | Upload-Length: 4 | Upload-Concat: partial
				1< 201 | Location: /files/1
				2> POST /files/ | Upload-Length: 7 | Upload-Concat: partial
				2< 201 | Location: /files/2
				1> PATCH /files/1 | Upload-Offset: 0 | body 0-4
				1< 204 | Upload-Offset: 4
				2> PATCH /files/2 | Upload-Offset: 0 | body 4-11
				2< 500
				2> HEAD /files/2
				2< 200 | Upload-Offset: 3 | Upload-Length: 7 | Upload-Concat: partial
				2> PATCH /files/2 | Upload-Offset: 3 | body 7-11
				2< 204 | Upload-Offset: 7` + final,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a part that is refused fails the upload, and nothing is concatenated",
			options: options{parallel: 2, boundaries: []int64{4}, delays: zero(0)},
			exchanges: `
				1?> POST /files/ | Upload-Length: 4 | Upload-Concat: partial
				1?< 201 | Location: /files/1
				2> POST /files/ | Upload-Length: 7 | Upload-Concat: partial
				2< 403
				1?> PATCH /files/1 | Upload-Offset: 0 | body 0-4
				1?< 204 | Upload-Offset: 4`,
			want: outcome{err: tus.ErrUnauthorized, status: 403, method: "POST"},
		},
		{
			name:    "a concatenation that is refused fails the upload",
			options: split,
			exchanges: parts + `
				> POST /files/ | Upload-Concat: final;/files/1 /files/2
				< 400 | text parts are missing
				1?> HEAD /files/1
				1?< 200 | Upload-Offset: 4 | Upload-Length: 4
				2?> HEAD /files/2
				2?< 200 | Upload-Offset: 7 | Upload-Length: 7
				?> POST /files/ | Upload-Concat: final;/files/1 /files/2
				?< 400 | text parts are missing`,
			want: outcome{status: 400, method: "POST", message: "parts are missing"},
		},
		{
			name:    "the parts of an interrupted upload are found in the store",
			options: with(func(o *options) { o.store = true }),
			stop:    "cancel at request PATCH /files/2",
			exchanges: `
				1> POST /files/ | Upload-Length: 4 | Upload-Concat: partial
				1< 201 | Location: /files/1
				2> POST /files/ | Upload-Length: 7 | Upload-Concat: partial
				2< 201 | Location: /files/2
				1?> PATCH /files/1 | Upload-Offset: 0 | body 0-4
				1?< hang
				2> PATCH /files/2 | Upload-Offset: 0 | body 4-11
				2< hang`,
			want: outcome{err: context.Canceled, stored: "/files/1 /files/2"},
			then: []scenario{{
				options: with(func(o *options) { o.store = true }),
				exchanges: `
					1> HEAD /files/1
					1< 200 | Upload-Offset: 4 | Upload-Length: 4 | Upload-Concat: partial
					2> HEAD /files/2
					2< 200 | Upload-Offset: 3 | Upload-Length: 7 | Upload-Concat: partial
					2> PATCH /files/2 | Upload-Offset: 3 | body 7-11
					2< 204 | Upload-Offset: 7` + final,
				want: outcome{url: "/files/a"},
			}},
		},
		{
			name:    "abort deletes all parts",
			options: split,
			stop:    "abort at request PATCH /files/2",
			exchanges: `
				1> POST /files/ | Upload-Length: 4 | Upload-Concat: partial
				1< 201 | Location: /files/1
				2> POST /files/ | Upload-Length: 7 | Upload-Concat: partial
				2< 201 | Location: /files/2
				1?> PATCH /files/1 | Upload-Offset: 0 | body 0-4
				1?< hang
				2> PATCH /files/2 | Upload-Offset: 0 | body 4-11
				2< hang
				1> DELETE /files/1
				1< 204
				2> DELETE /files/2
				2< 204`,
			want: outcome{err: tus.ErrAborted},
		},
		{
			name:    "the parts are deleted after the concatenation by option",
			options: with(func(o *options) { o.deleteParts = true }),
			exchanges: parts + final + `
				1> DELETE /files/1
				1< 204
				2> DELETE /files/2
				2< 204`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "the source is sent in one piece if the server does not concatenate",
			options: split,
			server:  server{extensions: "creation"},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "parts that are required are an error if the server does not concatenate",
			options: with(func(o *options) { o.partsRequired = true }),
			server:  server{extensions: "creation"},
			want:    outcome{err: tus.ErrUnsupported},
		},
		{
			name:    "paused parts are resumed",
			options: split,
			stop:    "pause at request PATCH /files/2",
			exchanges: `
				1> POST /files/ | Upload-Length: 4 | Upload-Concat: partial
				1< 201 | Location: /files/1
				2> POST /files/ | Upload-Length: 7 | Upload-Concat: partial
				2< 201 | Location: /files/2
				1?> PATCH /files/1 | Upload-Offset: 0 | body 0-4
				1?< hang
				2> PATCH /files/2 | Upload-Offset: 0 | body 4-11
				2< hang`,
			want: outcome{err: tus.ErrPaused},
			then: []scenario{{
				call: again,
				exchanges: `
					1?> HEAD /files/1
					1?< 200 | Upload-Offset: 0 | Upload-Length: 4 | Upload-Concat: partial
					1> PATCH /files/1 | Upload-Offset: 0 | body 0-4
					1< 204 | Upload-Offset: 4
					2> HEAD /files/2
					2< 200 | Upload-Offset: 3 | Upload-Length: 7 | Upload-Concat: partial
					2> PATCH /files/2 | Upload-Offset: 3 | body 7-11
					2< 204 | Upload-Offset: 7` + final,
				want: outcome{url: "/files/a"},
			}},
		},
		{
			name:    "boundaries that do not ascend are refused before any request",
			options: options{parallel: 3, boundaries: []int64{5, 2}},
			want:    outcome{err: tus.ErrInvalidInput},
		},
		{
			name:    "a boundary beyond the source is refused before any request",
			options: options{parallel: 2, boundaries: []int64{12}},
			want:    outcome{err: tus.ErrInvalidInput},
		},
		{
			name:    "boundaries without parallel parts are refused before any request",
			options: options{boundaries: []int64{4}},
			want:    outcome{err: tus.ErrInvalidInput},
		},
		{
			name: "parts of an upload by its URL are refused before any request",
			call: resume, url: "/files/a",
			options: split,
			want:    outcome{err: tus.ErrInvalidInput},
		},
		{
			name:    "parts of a deferred length are refused before any request",
			options: with(func(o *options) { o.deferLength = true }),
			want:    outcome{err: tus.ErrInvalidInput},
		},
		{
			name:    "existing parts are concatenated in the given order",
			call:    concatenate,
			options: options{partURLs: []string{"/files/2", "/files/1"}, metadata: tus.Metadata{"filename": "a"}},
			exchanges: `
				> POST /files/ | Upload-Concat: final;/files/2 /files/1 | Upload-Metadata: filename YQ==
				< 201 | Location: /files/a`,
			want: outcome{url: "/files/a"},
		},
	}
}
