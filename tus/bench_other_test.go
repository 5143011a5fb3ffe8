//go:build !linux

package tus_test

import "net/http"

func withoutPacing(*http.Transport) {}
