//go:build unix

package servers

import "strings"

// defect is what a server or proxy does that makes situations fail.
type defect struct {
	columns  []string // beginnings of names; nil means all
	failure  string   // part of the reason
	row      string   // part of the name of the situation
	explains string
}

// defects are the known reasons of failures. A failure without one is to be examined: it may be
// the client's.
func defects() []defect {
	return []defect{
		{[]string{"@tus/server, "}, "Upload-Length or Upload-Defer-Length", "PATCH as POST",
			"@tus/server 2 ignores X-HTTP-Method-Override and takes the request for a creation"},
		{[]string{"@uploadx"}, "the server created another upload", "PATCH as POST",
			"the server ignores X-HTTP-Method-Override: it creates a second upload with the bytes, and answers 200 with an Upload-Offset"},
		{[]string{"@uploadx"}, "the server kept nothing", "",
			"the server discards a chunk that was cut off if it has a checksum; with --checksum off it keeps the bytes"},
		{[]string{"@uploadx"}, "the server holds", "kill -9",
			"HEAD returns an offset inside the chunk that was cut off, the server then discards that chunk, and does not refuse a PATCH at the old offset: the bytes between are missing; --checksum off avoids it"},
		{[]string{"tusd, GCS store"}, "500 Internal Server Error", "terminate again",
			"the server answers 500 instead of 404 to DELETE of an upload that does not exist"},
		{[]string{"@tus/server, S3 store"}, "the upload still exists", "terminate",
			"the server answers 404 to DELETE of a complete upload, and keeps it"},
		{[]string{"@tus/server, onUploadFinish"}, "had no Location", "",
			"if onUploadFinish sets the status 200, the response to a creation with all bytes has no Location"},
		{[]string{"ownCloud"}, "had no Location", "",
			"the response to a creation with all bytes has an empty Location"},
		{[]string{"django-tus", "filebrowser", "SeaweedFS"}, "tusup info exited", "",
			"the server forgets a complete upload: HEAD is 404"},
		{[]string{"django-tus", "filebrowser"}, "409 Conflict", "checked",
			"the server forgets a complete upload, and refuses another one with its name"},
		{[]string{"filebrowser"}, "404 Not Found", "checked",
			"the server forgets a complete upload, and no response has Tus-Resumable, so the 404 could be that of a proxy"},
		{[]string{"SeaweedFS"}, "no longer shows", "checked",
			"the server forgets a complete upload: HEAD is 404"},
		{[]string{"SeaweedFS"}, "still holds the content", "terminate",
			"the server forgets a complete upload: DELETE does not reach it"},
		{[]string{"django-tus", "SeaweedFS"}, "the server kept nothing", "",
			"the server stores a request only when it is complete; smaller chunks lose less"},
		{[]string{"tuspyserver", "rustus"}, "the server kept nothing", "",
			"the server discards a chunk that was cut off, as it cannot verify its checksum; --checksum off keeps the bytes"},
		{[]string{"Varnish, defaults"}, "no Upload-Offset", "",
			"Varnish sends GET to the server for HEAD, and answers from its cache without Upload-Offset, so no interrupted upload resumes"},
		{[]string{"nginx, defaults", "nginx, body limit raised", "lighttpd, "}, "the server kept nothing", "",
			"the proxy passes a request on only when it is complete, so one that is cut off leaves nothing; smaller chunks lose less"},
	}
}

// explain returns why a cell failed, or "" if that is not known.
func explain(column, row, reason string) string {
	for _, d := range defects() {
		for _, name := range d.columns {
			if strings.HasPrefix(column, name) && strings.Contains(row, d.row) && strings.Contains(reason, d.failure) {
				return d.explains
			}
		}
	}
	return ""
}
