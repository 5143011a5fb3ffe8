package main

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// rules say which uploads tusd may take.
type rules struct {
	maxSize int64    // in bytes
	tokens  []string // of users
}

// admit judges an upload before it is created.
func (r rules) admit(u upload, header http.Header) answer {
	token, bearer := strings.CutPrefix(header.Get("Authorization"), "Bearer ")
	user, known := r.user(token)
	switch {
	case !bearer || !known:
		return reject(http.StatusUnauthorized, "who are you?")
	case !u.SizeIsDeferred && u.Size > r.maxSize:
		return reject(http.StatusRequestEntityTooLarge, fmt.Sprintf("at most %d bytes", r.maxSize))
	case u.IsPartial:
		return answer{} // its name comes with the upload that is made of it
	case u.MetaData["filename"] == "":
		return reject(http.StatusBadRequest, "metadata filename is missing")
	}
	// Who it belongs to is not the client's to say.
	metadata := maps.Clone(u.MetaData)
	metadata["owner"] = fmt.Sprint("user ", user)
	return answer{ChangeFileInfo: &fileChange{MetaData: metadata}}
}

// user returns the place of a token in the list, from 1 on. All of them are compared, for
// the time that it takes to tell nothing.
func (r rules) user(token string) (number int, known bool) {
	for i, t := range r.tokens {
		if sameSecret(token, t) {
			number, known = i+1, true
		}
	}
	return number, known
}

// goOn judges an upload while it arrives: one of unknown length may turn out to be
// too large. tusd asks about once a second.
func (r rules) goOn(u upload) answer {
	if u.Offset <= r.maxSize {
		return answer{}
	}
	return answer{StopUpload: true, HTTPResponse: &response{
		StatusCode: http.StatusRequestEntityTooLarge, Body: fmt.Sprintf("at most %d bytes", r.maxSize),
	}}
}

func reject(code int, text string) answer {
	return answer{RejectUpload: true, HTTPResponse: &response{StatusCode: code, Body: text}}
}
