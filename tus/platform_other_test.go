//go:build !linux

package tus_test

import (
	"net/http"
)

func withoutPacing(*http.Transport) {}

// enterContainer does nothing: there are no containers here.
func enterContainer() {}

func uploadManyIfChild() {}
