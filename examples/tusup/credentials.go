package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/seed-175555ba/tus-go/tus"
)

// login has the credentials of one source and the endpoint that they are for.
type login struct {
	names    []string // of flags, variables or keys, for error texts
	endpoint string   // "" means that of the run
	header   http.Header
	trusted  []string
	err      error // why header is incomplete
}

// sources has the credentials of a run.
type sources struct {
	flags       func() (login, error)
	environment login
	remote      *login // nil without @NAME
	defaults    login  // of the top level of the configuration file
}

// environmentLogin returns the credentials of the environment.
func environmentLogin() login {
	l := login{endpoint: os.Getenv("TUS_ENDPOINT"), trusted: nonEmptyLines(os.Getenv("TUS_TRUSTED_ORIGIN"))}
	var err error
	if l.header, err = tus.HeaderFromEnv(); err != nil {
		l.err = usageError{err}
	}
	file := os.Getenv("TUS_TOKEN_FILE")
	switch {
	case file != "" && os.Getenv("TUS_TOKEN") != "":
		l.err = usagef("TUS_TOKEN cannot be used with TUS_TOKEN_FILE")
	case file != "" && l.err == nil:
		l.err = l.readToken("TUS_TOKEN_FILE", file)
	}
	for _, name := range []string{"TUS_TOKEN", "TUS_TOKEN_FILE", "TUS_HEADERS"} {
		if os.Getenv(name) != "" {
			l.names = append(l.names, name)
		}
	}
	return l
}

// nonEmptyLines returns the lines of text without space around them.
func nonEmptyLines(text string) []string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return slices.DeleteFunc(lines, func(line string) bool { return line == "" })
}

// endpoint returns the upload creation URL, "" if there is none.
func (c *connection) endpoint() string {
	switch {
	case c.Endpoint != "":
		return string(c.Endpoint)
	case c.sources.remote != nil:
		return c.sources.remote.endpoint
	case c.sources.environment.endpoint != "":
		return c.sources.environment.endpoint
	}
	return c.sources.defaults.endpoint
}

// trustedOrigins returns the origins that may receive credentials in addition to that of
// the endpoint. Those of the configuration file hold for its endpoint only.
func (c *connection) trustedOrigins() []string {
	switch {
	case len(c.TrustedOrigin) > 0:
		return c.TrustedOrigin
	case c.sources.remote != nil:
		return c.sources.remote.trusted
	case len(c.sources.environment.trusted) > 0:
		return c.sources.environment.trusted
	case sameOrigin(c.sources.defaults.endpoint, c.endpoint()):
		return c.sources.defaults.trusted
	}
	return nil
}

// logins returns the credentials of all sources, those that take precedence last, and
// which of them may be sent to a URL.
func (c *connection) logins(rawURL string) (all []login, allowed []bool, err error) {
	fromFlags, err := c.sources.flags()
	if err != nil {
		return nil, nil, err
	}
	s := &c.sources
	home := sameOrigin(c.endpoint(), rawURL)
	trustedByUser := c.TrustedOrigin
	if s.remote == nil && len(trustedByUser) == 0 {
		trustedByUser = s.environment.trusted
	}
	trusted := hasOrigin(trustedByUser, rawURL)
	trustedAtAll := hasOrigin(c.trustedOrigins(), rawURL)
	add := func(l login, may bool) {
		if len(l.header) > 0 || l.err != nil {
			all, allowed = append(all, l), append(allowed, may)
		}
	}
	if s.remote == nil {
		add(s.defaults, (home || trustedAtAll) && sameOrigin(s.defaults.endpoint, c.endpoint()) || trusted)
		// Without TUS_ENDPOINT, the token of the environment is for every endpoint.
		add(s.environment, (home || trustedAtAll) && (s.environment.endpoint == "" || sameOrigin(s.environment.endpoint, c.endpoint())) || trusted)
	} else {
		// A remote has its own endpoint: the token of the environment is for another one, and
		// what is sent to the endpoint is also sent to the trusted origins of the remote.
		add(s.environment, home && sameOrigin(s.environment.endpoint, rawURL) && len(s.remote.trusted) == 0 || trusted)
		add(*s.remote, home || trustedAtAll)
	}
	add(fromFlags, home || trustedAtAll)
	return all, allowed, nil
}

// headerFor returns the header with the credentials for an endpoint. The client decides
// which other URLs they are sent to.
func (c *connection) headerFor(endpoint string) (http.Header, error) {
	header := http.Header{}
	all, allowed, err := c.logins(endpoint)
	for i, l := range all {
		if !allowed[i] {
			continue
		}
		if l.err != nil {
			return nil, l.err
		}
		for name, values := range l.header {
			header[http.CanonicalHeaderKey(name)] = values
		}
	}
	return header, err
}

// withVariable names the variable with an invalid URL that newClient was called with.
func (c *connection) withVariable(endpoint string, err error) error {
	env := c.sources.environment
	invalid := func(u string) bool { return originOf(u) == "" }
	switch {
	case c.Endpoint == "" && c.sources.remote == nil && endpoint == env.endpoint && invalid(endpoint):
		return fmt.Errorf("TUS_ENDPOINT: %w", err)
	case len(c.TrustedOrigin) == 0 && c.sources.remote == nil && slices.ContainsFunc(env.trusted, invalid):
		return fmt.Errorf("TUS_TRUSTED_ORIGIN: %w", err)
	}
	return err
}

// headers reads the credentials of the flags. Errors do not repeat values, which may be
// secret.
func (c *connection) headers() (login, error) {
	l := login{names: []string{"--header"}}
	var err error
	if l.header, err = parseHeader("--header", c.Header); err != nil {
		return l, err
	}
	if c.TokenFile != "" {
		l.names = append(l.names, "--token-file")
		if len(c.Header) == 0 {
			l.names = l.names[1:]
		}
		err = l.readToken("--token-file", c.TokenFile)
	}
	return l, err
}

// readToken adds the bearer token of a file.
func (l *login) readToken(name, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return usagef("%s: %w", name, err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsAny(token, "\r\n") {
		return usagef("%s: %s must have one line, the token", name, path)
	}
	if l.header == nil {
		l.header = http.Header{}
	}
	l.header.Set("Authorization", "Bearer "+token)
	return nil
}

// parseHeader parses "Name: value" lines. Errors do not repeat values, which may be secret.
func parseHeader(source string, lines []string) (http.Header, error) {
	h := http.Header{}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.ContainsAny(strings.TrimSpace(name), " \t") { // without the first colon, name has the value
			return nil, usagef("%s: must be of the form 'Name: value'", source)
		}
		h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return h, nil
}

// hasCredentials reports whether any source has a header field.
func (c *connection) hasCredentials() bool {
	all, _, err := c.logins("")
	return err == nil && len(all) > 0
}

// secrets returns the parts of the credentials that a server might put into a URL.
func (c *connection) secrets() []string {
	all, _, _ := c.logins("")
	var values []string
	for _, l := range all {
		for _, v := range l.header {
			values = append(values, v...)
		}
	}
	if proxy, err := url.Parse(string(c.Proxy)); err == nil && proxy.User != nil {
		password, _ := proxy.User.Password()
		values = append(values, password, proxy.User.Username())
	}
	parts := strings.FieldsFunc(strings.Join(values, "\n"), func(r rune) bool { return strings.ContainsRune(" \t\r\n,;=\"", r) })
	return slices.DeleteFunc(parts, func(part string) bool { return len(part) < 6 || strings.HasSuffix(part, ":") })
}

// withAdvice replaces the names of options by those of flags. It adds to a 401 or 403 which
// flag sends the credentials that were withheld from the server, and to the refusal of a
// stored upload how to forget it.
func (c *connection) withAdvice(err error) error {
	if err == nil {
		return nil
	}
	err = withFlagNames(c.withHint(err))
	var stored *tus.StoredError
	if errors.As(err, &stored) {
		err = fmt.Errorf("%w; to forget it: tusup forget %s", err, stored.ID)
	}
	var e *tus.Error
	if !errors.Is(err, tus.ErrUnauthorized) || !errors.As(err, &e) {
		return err
	}
	all, allowed, loginErr := c.logins(e.URL)
	var withheld []string
	sent := http.Header{}
	for i, l := range slices.Backward(all) {
		switch {
		case allowed[i]:
			maps.Copy(sent, l.header)
		case l.err != nil || addsTo(sent, l.header):
			withheld = append(withheld, l.names...)
		}
	}
	u, parseErr := url.Parse(e.URL)
	if len(withheld) == 0 || loginErr != nil || parseErr != nil {
		return err
	}
	return fmt.Errorf("%w; %s was not sent to this origin: to send it, use --trusted-origin %s://%s", err, strings.Join(withheld, ", "), u.Scheme, u.Host)
}

// addsTo reports whether header has a field that sent has not: it would not be replaced by
// that of a source that takes precedence.
func addsTo(sent, header http.Header) bool {
	for name := range header {
		if _, ok := sent[name]; !ok {
			return true
		}
	}
	return false
}

// flagNames is an error whose text has flags in place of the options of the library.
type flagNames struct {
	error
	text string
}

func (e flagNames) Error() string { return e.text }
func (e flagNames) Unwrap() error { return e.error }

// withFlagNames replaces the options that the errors of the library recommend.
func withFlagNames(err error) error {
	text := strings.NewReplacer(
		"one of Options.TrustedOrigins", "a --trusted-origin",
		"Options.TrustedOrigins", "--trusted-origin",
		"Options.OverridePatchMethod", "--method-override",
		"Options.HTTPClient needs a cookie jar", "use --cookies",
		"UploadOptions.BufferLimit", "--buffer-limit",
		"UploadOptions.MinChunkSize", "--min-chunk-size",
		"UploadOptions.ChunkSize", "--chunk-size",
		", or set UploadOptions.Refused,", "", // not every command has --refused
		"(UploadOptions.Parallel, or MinPartSize or MaxConcatHeader of ParallelOptions)", "(--parallel)",
		"UploadOptions.Parallel", "--parallel",
		"UploadOptions.Checksum", "--checksum",
		"Options.Checksums", "--checksum",
		"Options.SourceTimeout", "--source-timeout",
		"Options.Header", "--header",
	).Replace(err.Error())
	if text == err.Error() {
		return err
	}
	return flagNames{err, text}
}

// hasOrigin reports whether one of the URLs has the origin of rawURL.
func hasOrigin(urls []string, rawURL string) bool {
	return slices.ContainsFunc(urls, func(u string) bool { return sameOrigin(u, rawURL) })
}

// sameOrigin reports whether two URLs have the same scheme, host and port.
func sameOrigin(a, b string) bool {
	origin := originOf(a)
	return origin != "" && origin == originOf(b)
}

// originOf returns scheme, host and port of a URL, "" if it is invalid. The client
// converts the host to ASCII, so that equal names compare equal.
func originOf(rawURL string) string {
	client, err := tus.NewClient(rawURL, nil)
	if err != nil {
		return ""
	}
	u, err := url.Parse(client.Endpoint())
	if err != nil {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}
