package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-175555ba/tus-go/tus"
)

// withHint adds to an error of the server what the user most likely did wrong.
func (c *connection) withHint(err error) error {
	var e *tus.Error
	if !errors.As(err, &e) {
		return err
	}
	if hint := c.hint(e); hint != "" {
		return fmt.Errorf("%w; %s", err, hint)
	}
	return err
}

// hint returns a hint about a failed request, "" if there is none.
func (c *connection) hint(e *tus.Error) string {
	atEndpoint := e.Method == http.MethodPost || e.Method == http.MethodOptions
	u, err := url.Parse(e.URL)
	switch {
	case err != nil:
	case e.StatusCode == http.StatusUnauthorized && !c.hasCredentials():
		return "set TUS_TOKEN, or use --header 'Authorization: …'"
	case (e.StatusCode == http.StatusNotFound || e.StatusCode == http.StatusMethodNotAllowed) && atEndpoint && !strings.HasSuffix(u.Path, "/"):
		return fmt.Sprintf("is %s/ the endpoint, with a slash at the end?", e.URL)
	}
	return ""
}

// withoutScheme returns a hint for an endpoint such as localhost:1080/files/, "" if it has
// a scheme. net/url takes the host for the scheme.
func withoutScheme(endpoint string) string {
	host, _, ok := strings.Cut(endpoint, "/")
	if strings.Contains(endpoint, "://") || !ok && !strings.Contains(host, ":") || host == "" {
		return ""
	}
	scheme := "https://"
	if name, _, _ := strings.Cut(host, ":"); name == "localhost" || strings.HasPrefix(name, "127.") || strings.HasPrefix(host, "[::1]") {
		scheme = "http://"
	}
	return "missing " + scheme
}
