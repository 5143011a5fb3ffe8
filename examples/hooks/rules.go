package main

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// rules decide which uploads tusd accepts.
type rules struct {
	maxSize int64    // in bytes
	tokens  []string // of users
}

// admit decides on an upload before it is created.
func (r rules) admit(u upload, header http.Header) hookResponse {
	token, bearer := strings.CutPrefix(header.Get("Authorization"), "Bearer ")
	user, known := r.user(token)
	switch {
	case !bearer || !known:
		return reject(http.StatusUnauthorized, "unknown token")
	case !u.SizeIsDeferred && u.Size > r.maxSize:
		return reject(http.StatusRequestEntityTooLarge, fmt.Sprintf("at most %d bytes", r.maxSize))
	case u.IsPartial:
		return hookResponse{} // the final upload has the name
	case u.MetaData["filename"] == "":
		return reject(http.StatusBadRequest, "metadata filename is missing")
	}
	// The client cannot choose the owner.
	metadata := maps.Clone(u.MetaData)
	metadata["owner"] = fmt.Sprint("user ", user)
	return hookResponse{ChangeFileInfo: &fileChange{MetaData: metadata}}
}

// user returns the number of a token in the list, starting at 1. It compares all
// tokens, so that its duration reveals nothing.
func (r rules) user(token string) (number int, known bool) {
	for i, t := range r.tokens {
		if sameSecret(token, t) {
			number, known = i+1, true
		}
	}
	return number, known
}

// progress decides on an upload while tusd receives it: an upload of unknown size may
// become too large. tusd calls this hook about once per second.
func (r rules) progress(u upload) hookResponse {
	if u.Offset <= r.maxSize {
		return hookResponse{}
	}
	return hookResponse{StopUpload: true, HTTPResponse: &httpResponse{
		StatusCode: http.StatusRequestEntityTooLarge, Body: fmt.Sprintf("at most %d bytes", r.maxSize),
	}}
}

func reject(code int, text string) hookResponse {
	return hookResponse{RejectUpload: true, HTTPResponse: &httpResponse{StatusCode: code, Body: text}}
}
