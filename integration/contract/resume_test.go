package contract_test

import "github.com/seed-175555ba/tus-go/tus"

// resumeByURL follows the sections Core Protocol and HEAD. The upload was created elsewhere.
func resumeByURL() []scenario {
	return []scenario{
		{
			name: "an upload is resumed at the offset of the server",
			call: resume, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 200 | Upload-Offset: 5 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 5 | body 5-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name: "a HEAD may be acknowledged with 204",
			call: resume, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 204 | Upload-Offset: 5 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 5 | body 5-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name: "nothing is sent to an upload that is complete",
			call: resume, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 200 | Upload-Offset: 11 | Upload-Length: 11`,
			want: outcome{url: "/files/a", events: "resumed /files/a at 11, complete"},
		},
		{
			name: "a deferred length is sent with the last bytes",
			call: resume, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 200 | Upload-Offset: 5 | Upload-Defer-Length: 1
				> PATCH /files/a | Upload-Offset: 5 | Upload-Length: 11 | body 5-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name: "a deferred length is sent without bytes if the server has all of them",
			call: resume, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 200 | Upload-Offset: 11 | Upload-Defer-Length: 1
				> PATCH /files/a | Upload-Offset: 11 | Upload-Length: 11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name: "an upload that is not found is an error, and none is created",
			call: resume, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 404`,
			want: outcome{err: tus.ErrUploadGone, status: 404, method: "HEAD"},
		},
		{
			name: "an upload that is gone is an error, and none is created",
			call: resume, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 410`,
			want: outcome{err: tus.ErrUploadGone, status: 410, method: "HEAD"},
		},
		{
			name: "an upload that is forbidden is an error",
			call: resume, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 403`,
			want: outcome{err: tus.ErrUnauthorized, status: 403, method: "HEAD"},
		},
		{
			name: "nothing is sent to an upload of another length",
			call: resume, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 200 | Upload-Offset: 5 | Upload-Length: 12`,
			want: outcome{err: tus.ErrSourceMismatch},
		},
		{
			name: "a HEAD without an offset is an error",
			call: resume, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 200 | Upload-Length: 11`,
			want: outcome{err: tus.ErrProtocol, method: "HEAD"},
		},
		{
			name: "a locked upload is retried until it is free",
			call: resume, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 423
				> HEAD /files/a
				< 423
				> HEAD /files/a
				< 200 | Upload-Offset: 5 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 5 | body 5-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name: "an upload that stays locked is an error",
			call: resume, url: "/files/a",
			options: options{delays: zero(1)},
			exchanges: `
				> HEAD /files/a
				< 423
				> HEAD /files/a
				< 423`,
			want: outcome{status: 423, method: "HEAD"},
		},
		{
			name: "a final upload that is not concatenated yet has no offset",
			call: info, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 200 | Upload-Length: 11 | Upload-Concat: final;/files/1 /files/2`,
			want: outcome{length: 11},
		},
		{
			name: "offset, length and metadata are requested without sending anything",
			call: info, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< 200 | Upload-Offset: 5 | Upload-Length: 11 | Upload-Metadata: filename YQ==,empty`,
			want: outcome{offset: 5, length: 11, metadata: tus.Metadata{"filename": "a", "empty": ""}},
		},
	}
}
