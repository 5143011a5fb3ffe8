package contract_test

// methodOverride follows the section X-HTTP-Method-Override.
func methodOverride() []scenario {
	return []scenario{
		{
			name:    "PATCH is sent as POST, and no other method",
			options: options{override: true},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> POST /files/a | X-HTTP-Method-Override: PATCH | Upload-Offset: 0 | body 0-11
				< 500
				> HEAD /files/a
				< 200 | Upload-Offset: 6 | Upload-Length: 11
				> POST /files/a | X-HTTP-Method-Override: PATCH | Upload-Offset: 6 | body 6-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name: "DELETE is sent as DELETE",
			call: terminate, url: "/files/a",
			options: options{override: true},
			exchanges: `
				> DELETE /files/a
				< 204`,
		},
	}
}
