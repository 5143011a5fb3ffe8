package contract_test

// headers has what the clients agree on: fields of the program are in each request, each
// request can have an ID, and hooks see and change requests.
func headers() []scenario {
	token := map[string]string{"Authorization": "Bearer secret"}
	return []scenario{
		{
			name:    "the fields of the program are in each request",
			options: options{header: map[string]string{"X-Project": "7", "Authorization": "Bearer secret"}},
			exchanges: `
				> POST /files/ | Upload-Length: 11 | X-Project: 7 | Authorization: Bearer secret
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | X-Project: 7 | Authorization: Bearer secret | body 0-11
				< 500
				> HEAD /files/a | X-Project: 7 | Authorization: Bearer secret
				< 200 | Upload-Offset: 6 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 6 | X-Project: 7 | Authorization: Bearer secret | body 6-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name: "the fields of the program are in a deletion",
			call: terminate, url: "/files/a",
			options: options{header: token},
			exchanges: `
				> DELETE /files/a | Authorization: Bearer secret
				< 204`,
		},
		{
			name:    "the fields of the program stay at the origin of the endpoint",
			options: options{header: token},
			exchanges: `
				> POST /files/ | Upload-Length: 11 | Authorization: Bearer secret
				< 201 | Location: http://storage.test/a
				> PATCH http://storage.test/a | Upload-Offset: 0 | no Authorization | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "http://storage.test/a"},
		},
		{
			name:    "the fields of the program are sent to an origin that it trusts",
			options: options{header: token, trusted: "http://storage.test"},
			exchanges: `
				> POST /files/ | Upload-Length: 11 | Authorization: Bearer secret
				< 201 | Location: http://storage.test/a
				> PATCH http://storage.test/a | Upload-Offset: 0 | Authorization: Bearer secret | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "http://storage.test/a"},
		},
		{
			name:    "each request has an ID of its own",
			options: options{requestID: "X-Request-ID"},
			exchanges: `
				> POST /files/ | Upload-Length: 11 | X-Request-ID: *
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | X-Request-ID: * | body 0-11
				< 500
				> HEAD /files/a | X-Request-ID: *
				< 200 | Upload-Offset: 0 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 0 | X-Request-ID: * | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a failure has the ID of its request and the text of the response",
			options: options{requestID: "X-Request-ID"},
			exchanges: `
				> POST /files/ | Upload-Length: 11 | X-Request-ID: *
				< 400 | text no such project`,
			want: outcome{status: 400, method: "POST", message: "no such project", requestID: true},
		},
		{
			name: "a request has no ID unless the program wants one",
			exchanges: `
				> POST /files/ | Upload-Length: 11 | no X-Request-ID
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | no X-Request-ID | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name: "hooks are called before and after each request",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 500
				> HEAD /files/a
				< 200 | Upload-Offset: 6 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 6 | body 6-11
				< 204 | Upload-Offset: 11`,
			want: outcome{
				url: "/files/a",
				hooks: "before POST, after POST 201, before PATCH, after PATCH 500, " +
					"before HEAD, after HEAD 200, before PATCH, after PATCH 204",
			},
		},
		{
			name: "hooks are called before and after a deletion",
			call: terminate, url: "/files/a",
			exchanges: `
				> DELETE /files/a
				< 204`,
			want: outcome{hooks: "before DELETE, after DELETE 204"},
		},
		{
			name:    "a hook adds a field to each request",
			options: options{hookHeader: "signed"},
			exchanges: `
				> POST /files/ | Upload-Length: 11 | Signature: signed
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | Signature: signed | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a hook that fails ends the upload before the request",
			options: options{hookFails: "PATCH"},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a`,
			want: outcome{err: errHook},
		},
		{
			name: "the result has the header of the last response",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11 | X-Media-ID: m7`,
			want: outcome{url: "/files/a", header: "X-Media-ID: m7"},
		},
	}
}
