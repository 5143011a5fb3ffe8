package contract_test

// events has the order of events on which the clients agree. A progress of all bytes, and none
// that goes back, is checked in all scenarios.
func events() []scenario {
	return []scenario{
		{
			name:    "success: start, each chunk, end",
			options: options{chunk: 6},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-6
				< 204 | Upload-Offset: 6
				> PATCH /files/a | Upload-Offset: 6 | body 6-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a", events: "created /files/a, acknowledged 6, acknowledged 11, complete"},
		},
		{
			name:   "success with the creation: start, one chunk, end",
			server: server{extensions: "creation,creation-with-upload"},
			exchanges: `
				> POST /files/ | Upload-Length: 11 | body 0-11
				< 201 | Location: /files/a | Upload-Offset: 11`,
			want: outcome{url: "/files/a", events: "created /files/a, acknowledged 11, complete"},
		},
		{
			name: "resumed: start at the offset, each chunk, end",
			call: resume, url: "/files/a", options: options{chunk: 3},
			exchanges: `
				> HEAD /files/a
				< 200 | Upload-Offset: 5 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 5 | body 5-8
				< 204 | Upload-Offset: 8
				> PATCH /files/a | Upload-Offset: 8 | body 8-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a", events: "resumed /files/a at 5, acknowledged 8, acknowledged 11, complete"},
		},
		{
			name:    "failure: start, each chunk, failure",
			options: options{chunk: 6},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-6
				< 204 | Upload-Offset: 6
				> PATCH /files/a | Upload-Offset: 6 | body 6-11
				< 400
				?> HEAD /files/a
				?< 200 | Upload-Offset: 6 | Upload-Length: 11`,
			want: outcome{status: 400, method: "PATCH", offset: 6, events: "created /files/a, acknowledged 6, failed"},
		},
		{
			name: "failure of the creation: no start",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 400`,
			want: outcome{status: 400, events: "failed"},
		},
		{
			name:    "stream: start, each chunk, end",
			source:  source{kind: "stream"},
			options: options{chunk: 6},
			exchanges: `
				> POST /files/ | Upload-Defer-Length: 1
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-6
				< 204 | Upload-Offset: 6
				> PATCH /files/a | Upload-Offset: 6 | Upload-Length: 11 | body 6-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a", events: "created /files/a, acknowledged 6, acknowledged 11, complete"},
		},
		{
			name:    "parallel: parts start in any order, and the end is that of the final upload",
			options: options{parallel: 2, boundaries: []int64{4}},
			exchanges: `
				1> POST /files/ | Upload-Length: 4 | Upload-Concat: partial
				1< 201 | Location: /files/1
				2> POST /files/ | Upload-Length: 7 | Upload-Concat: partial
				2< 201 | Location: /files/2
				1> PATCH /files/1 | Upload-Offset: 0 | body 0-4
				1< 204 | Upload-Offset: 4
				2> PATCH /files/2 | Upload-Offset: 0 | body 4-11
				2< 204 | Upload-Offset: 7
				> POST /files/ | Upload-Concat: final;/files/1 /files/2
				< 201 | Location: /files/a`,
			want: outcome{url: "/files/a", lastEvents: "created /files/a, complete"},
		},
	}
}
