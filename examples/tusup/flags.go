package main

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/seed-175555ba/tus-go/tus"
)

// flags is the command line.
type flags struct {
	common

	Version kong.VersionFlag `help:"Print the version and exit."`

	Upload       uploadCommand       `cmd:"" default:"withargs" help:"Upload files, directories and standard input (the default)."`
	Watch        watchCommand        `cmd:"" help:"Upload what appears in a directory, until interrupted."`
	Info         infoCommand         `cmd:"" help:"Show the state of an upload."`
	Terminate    terminateCommand    `cmd:"" help:"Delete an upload on the server."`
	Capabilities capabilitiesCommand `cmd:"" help:"Show what the server supports."`
	List         listCommand         `cmd:"" help:"List the uploads that can be resumed."`
	Forget       forgetCommand       `cmd:"" help:"Forget uploads that could be resumed. They stay on the server."`
	Serve        serveCommand        `cmd:"" help:"Run a tusd that stores uploads in a directory."`
}

// common are the flags of every command.
type common struct {
	Endpoint        flagURL       `help:"Upload creation URL of the server (default: $$TUS_ENDPOINT)." placeholder:"URL"`
	Header          []string      `help:"Header of every request to the origin of the endpoint or to a --trusted-origin; not sent to any other origin. May be repeated." placeholder:"'K: V'" sep:"none"`
	TrustedOrigin   []string      `help:"Another origin (scheme, host and port) to which --header, $$TUS_TOKEN and $$TUS_HEADERS are sent. May be repeated." placeholder:"URL" sep:"none"`
	State           string        `help:"Resume database (default: in the user's state directory)." placeholder:"FILE"`
	NoState         bool          `help:"Use no resume database."`
	Retries         int           `help:"Consecutive failures that are retried (default: 8). The count is reset when the server acknowledges bytes." default:"8" placeholder:"N"`
	StallTimeout    time.Duration `help:"Cut a connection on which no data moves for this long; 0 means no timeout." default:"30s"`
	ResponseTimeout time.Duration `help:"Timeout for the server's response after all bytes of a request were sent; 0 means no timeout." default:"5m"`
	SourceTimeout   time.Duration `help:"Timeout for one read of a file or of standard input; 0 means no timeout. With a timeout, files are copied through memory." default:"0s"`
	CACert          string        `help:"File with additional trusted CA certificates (PEM)." placeholder:"FILE"`
	Insecure        bool          `help:"Do not verify the server's certificate."`
	JSON            bool          `help:"Print one JSON object per result to standard output." name:"json"`
	Verbose         bool          `help:"Log every request to standard error, without secrets."`
}

// uploadCommand uploads files.
type uploadCommand struct {
	Files []string `arg:"" name:"FILE" help:"File or directory; - is standard input, of unknown size."`

	ChunkSize      size     `help:"Maximum size of one request; 0 means no limit." default:"0" placeholder:"SIZE"`
	Parallel       int      `help:"Connections per file, if the server supports concatenation (default: 1)." default:"1" placeholder:"N"`
	Checksum       string   `help:"Checksum of each chunk: ${enum}. auto selects the first algorithm of this list that the server supports." enum:"auto,off,sha256,sha1,sha512,md5,crc32" default:"auto"`
	Local          bool     `help:"Upload to a tusd in this process, which stores in ./uploads: to try tusup without a server."`
	UploadURL      flagURL  `help:"Resume the upload at this URL instead of creating one." placeholder:"URL"`
	Metadata       []string `help:"Metadata of the upload (default: filename=NAME). May be repeated." placeholder:"K=V" sep:"none"`
	RelativeNames  bool     `help:"For files in a directory, set the metadata filename to the path relative to the directory."`
	Concurrency    int      `help:"Number of files uploaded at the same time (default: 4)." default:"4" placeholder:"N"`
	LimitRate      size     `help:"Maximum bytes per second for all files together; 0 means no limit." default:"0" placeholder:"SIZE"`
	DeferredLength bool     `help:"Send the length only at the end."`
	TerminateFail  bool     `help:"Delete a failed upload on the server, if this run created it or resumed it from the database." name:"terminate-on-fail"`
	Fingerprint    string   `help:"How to fingerprint files: ${enum}." enum:"sample,content,stat" default:"sample"`
	Held           string   `help:"What to do if another process may be working on the stored upload: ${enum}. wait resumes it when it is released, begin uploads the file a second time." enum:"wait,fail,begin" default:"wait"`
	Progress       string   `help:"How to show progress on standard error: ${enum}." enum:"auto,bar,plain,none" default:"auto"`
}

// flagURL is a URL that must not be empty if its flag is set: an unset variable in a
// script would otherwise select another server.
type flagURL string

// UnmarshalText returns an error for an empty URL.
func (u *flagURL) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("must not be empty")
	}
	*u = flagURL(text)
	return nil
}

// check returns a usage error for flags that kong accepts.
func (u *uploadCommand) check(c *common) error {
	switch {
	case u.Parallel < 1:
		return usagef("--parallel %d: must be at least 1", u.Parallel)
	case u.Concurrency < 1:
		return usagef("--concurrency %d: must be at least 1", u.Concurrency)
	case c.Retries < 0:
		return usagef("--retries %d: must not be negative", c.Retries)
	case c.StallTimeout < 0:
		return usagef("--stall-timeout %v: must not be negative", c.StallTimeout)
	case c.ResponseTimeout < 0:
		return usagef("--response-timeout %v: must not be negative", c.ResponseTimeout)
	case c.SourceTimeout < 0:
		return usagef("--source-timeout %v: must not be negative", c.SourceTimeout)
	case u.UploadURL != "" && len(u.Files) != 1:
		return usagef("--upload-url requires exactly one file, not %d", len(u.Files))
	case u.UploadURL != "" && len(u.Metadata) > 0:
		return usagef("--metadata cannot be used with --upload-url")
	case u.UploadURL != "" && isDir(u.Files[0]):
		return usagef("--upload-url requires a file: %s is a directory", u.Files[0])
	case u.UploadURL != "" && u.Parallel > 1:
		return usagef("--parallel cannot be used with --upload-url")
	case u.UploadURL != "" && u.TerminateFail:
		return usagef("--terminate-on-fail cannot be used with --upload-url")
	case u.DeferredLength && u.Parallel > 1:
		return usagef("--parallel cannot be used with --deferred-length")
	case c.NoState && c.State != "":
		return usagef("--state cannot be used with --no-state")
	}
	for _, arg := range u.Files {
		if _, err := os.Stat(arg); err != nil && (strings.HasPrefix(arg, "http://") || strings.HasPrefix(arg, "https://")) {
			// The URL is not repeated: it may have a secret.
			return usagef("a URL is not a file: use --endpoint or --upload-url")
		}
	}
	if _, err := c.headers(); err != nil {
		return err
	}
	_, err := u.metadata()
	return err
}

// metadata parses --metadata. It returns nil if there is none.
func (u *uploadCommand) metadata() (tus.Metadata, error) {
	if len(u.Metadata) == 0 {
		return nil, nil
	}
	m := tus.Metadata{}
	for _, pair := range u.Metadata {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, usagef("--metadata %q: must be key=value", pair)
		}
		if _, twice := m[key]; twice {
			return nil, usagef("--metadata: duplicate key %q", key)
		}
		m[key] = value
	}
	if err := m.Validate(); err != nil {
		return nil, usageError{err}
	}
	return m, nil
}

// headers parses --header. Errors do not repeat values, which may be secret.
func (c *common) headers() (http.Header, error) {
	h := http.Header{}
	for _, line := range c.Header {
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.ContainsAny(strings.TrimSpace(name), " \t") { // without the first colon, name has the value
			return nil, usagef("--header: must be of the form 'Name: value'")
		}
		h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return h, nil
}

// endpoint returns the upload creation URL, "" if neither flag nor environment set it.
func (c *common) endpoint() string {
	if c.Endpoint != "" {
		return string(c.Endpoint)
	}
	return os.Getenv("TUS_ENDPOINT")
}
