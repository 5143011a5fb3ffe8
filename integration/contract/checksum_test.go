package contract_test

import "github.com/seed-175555ba/tus-go/tus"

// checksums follows the section Checksum.
func checksums() []scenario {
	offered := server{extensions: "creation,checksum", algorithms: "md5,sha1,crc32"}
	return []scenario{
		{
			name:    "each PATCH has the checksum of its bytes",
			server:  offered,
			options: options{checksum: "sha1", chunk: 6},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | Upload-Checksum: sha1 xNhxrROtAP3pp7t/9+0lQ67FQkE= | body 0-6
				< 204 | Upload-Offset: 6
				> PATCH /files/a | Upload-Offset: 6 | Upload-Checksum: sha1 fCEUM/AgcVl3Qeb/Wo6jR4mrv0M= | body 6-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a chunk whose checksum does not match is resent",
			server:  offered,
			options: options{checksum: "sha1"},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0= | body 0-11
				< 460
				?> HEAD /files/a
				?< 200 | Upload-Offset: 0 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 0 | Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0= | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a checksum that never matches is an error",
			server:  offered,
			options: options{checksum: "sha1", delays: zero(0)},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0= | body 0-11
				< 460`,
			want: outcome{err: tus.ErrChecksumMismatch, status: 460},
		},
		{
			name:    "an algorithm that the server does not have is refused before the creation",
			server:  offered,
			options: options{checksum: "sha512"},
			want:    outcome{err: tus.ErrUnsupported},
		},
		{
			name:    "the checksum follows the bytes if the server reads trailers",
			server:  server{extensions: "creation,checksum,checksum-trailer", algorithms: "sha1"},
			options: options{checksum: "sha1"},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | trailer Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0= | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
	}
}
