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

	Upload       uploadCommand       `cmd:"" default:"withargs" help:"Upload files, folders and standard input (the default)."`
	Info         infoCommand         `cmd:"" help:"Show what the server has of an upload."`
	Terminate    terminateCommand    `cmd:"" help:"Delete an upload on the server."`
	Capabilities capabilitiesCommand `cmd:"" help:"Show what the server supports."`
	List         listCommand         `cmd:"" help:"List the unfinished uploads that can be resumed."`
	Forget       forgetCommand       `cmd:"" help:"Forget unfinished uploads. They stay on the server."`
	Serve        serveCommand        `cmd:"" help:"Run a tusd that stores uploads in a folder."`
}

// common are the flags of every command.
type common struct {
	Endpoint        givenURL      `help:"Upload creation URL of the server (default: $$TUS_ENDPOINT; without either, a tusd of its own that stores in ./uploads)." placeholder:"URL"`
	Header          []string      `help:"Header of every request to the origin of the endpoint or to a --trusted-origin. It goes to no other, also if the only URL on the command line has that." placeholder:"'K: V'" sep:"none"`
	TrustedOrigin   []string      `help:"Origin (scheme, host and port) that gets --header, $$TUS_TOKEN and $$TUS_HEADERS, too. May be repeated." placeholder:"URL" sep:"none"`
	State           string        `help:"File that remembers where uploads can be resumed (default: in the user's state directory)." placeholder:"FILE"`
	NoState         bool          `help:"Neither remember nor resume."`
	Retries         int           `help:"Failures in a row that are retried. The count begins again when bytes get through." default:"8" placeholder:"N"`
	StallTimeout    time.Duration `help:"Cut a connection on which nothing moves for so long; 0 for never." default:"30s"`
	ResponseTimeout time.Duration `help:"Time for the server's response once all bytes of a request have left; 0 for no timeout." default:"5m"`
	SourceTimeout   time.Duration `help:"Time for one read of a file or of standard input; 0 for no timeout. With a timeout, files are copied through memory." default:"0s"`
	CACert          string        `help:"File with certificates (PEM) of authorities to trust besides the system's." placeholder:"FILE"`
	Insecure        bool          `help:"Do not verify the server's certificate."`
	JSON            bool          `help:"Print one JSON object per result on standard output." name:"json"`
	Verbose         bool          `help:"Log every request on standard error, without secrets."`
}

// uploadCommand uploads.
type uploadCommand struct {
	Files []string `arg:"" name:"FILE" help:"File or folder; - is standard input, of unknown length."`

	ChunkSize      size     `help:"Most bytes per request; 0 for no limit." default:"0" placeholder:"SIZE"`
	Parallel       int      `help:"Connections for one file, if the server offers concatenation." default:"1" placeholder:"N"`
	Checksum       string   `help:"Checksum of each chunk: ${enum}. auto is the first of the others that the server offers." enum:"auto,off,sha256,sha1,sha512,md5,crc32" default:"auto"`
	UploadURL      givenURL `help:"Go on with an upload that was made elsewhere; nothing is created." placeholder:"URL"`
	Metadata       []string `help:"Metadata of the upload; the default is filename=NAME." placeholder:"K=V" sep:"none"`
	RelativeNames  bool     `help:"For files of folders, put the path from the folder on into the metadata filename."`
	Concurrency    int      `help:"Files at the same time." default:"4" placeholder:"N"`
	LimitRate      size     `help:"Most bytes per second, all files together; 0 for no limit." default:"0" placeholder:"SIZE"`
	DeferredLength bool     `help:"Tell the server the length only at the end."`
	TerminateFail  bool     `help:"Delete an upload that this run created or went on with by itself, if it fails." name:"terminate-on-fail"`
	Fingerprint    string   `help:"What recognizes a file: ${enum}." enum:"sample,content,stat" default:"sample"`
	Held           string   `help:"What to do about a stored upload that another process may be working on: ${enum}. wait resumes it when it is free, begin uploads the file a second time." enum:"wait,fail,begin" default:"wait"`
	Progress       string   `help:"How progress is shown on standard error: ${enum}." enum:"auto,bar,plain,none" default:"auto"`
}

// givenURL is a URL that must not be empty where it is given: an unset variable
// of a script would otherwise mean another server.
type givenURL string

// UnmarshalText takes anything but nothing.
func (u *givenURL) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("must not be empty")
	}
	*u = givenURL(text)
	return nil
}

// check finds what kong cannot.
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
		return usagef("--upload-url takes exactly one file, not %d", len(u.Files))
	case u.UploadURL != "" && len(u.Metadata) > 0:
		return usagef("--metadata goes with the creation of an upload, which --upload-url has behind it")
	case u.UploadURL != "" && isFolder(u.Files[0]):
		return usagef("--upload-url takes a file, and %s is a folder", u.Files[0])
	case u.UploadURL != "" && u.Parallel > 1:
		return usagef("--upload-url and --parallel exclude each other")
	case u.UploadURL != "" && u.TerminateFail:
		return usagef("--terminate-on-fail is for uploads that tusup creates, and not for --upload-url")
	case u.DeferredLength && u.Parallel > 1:
		return usagef("--deferred-length and --parallel exclude each other")
	case c.NoState && c.State != "":
		return usagef("--state and --no-state exclude each other")
	}
	for _, arg := range u.Files {
		if _, err := os.Stat(arg); err != nil && (strings.HasPrefix(arg, "http://") || strings.HasPrefix(arg, "https://")) {
			return usagef("a URL is no file: it goes with --endpoint or --upload-url") // it may hold a secret
		}
	}
	if _, err := c.headers(); err != nil {
		return err
	}
	_, err := u.metadata()
	return err
}

// metadata reads --metadata; nil if there is none.
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
			return nil, usagef("--metadata: key %q is given twice", key)
		}
		m[key] = value
	}
	if err := m.Validate(); err != nil {
		return nil, usageError{err}
	}
	return m, nil
}

// headers reads --header. Values may be secret, so errors do not repeat them.
func (c *common) headers() (http.Header, error) {
	h := http.Header{}
	for _, line := range c.Header {
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.ContainsAny(strings.TrimSpace(name), " \t") { // who forgets the colon has the value in the name
			return nil, usagef("--header: must be of the form 'Name: value'")
		}
		h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return h, nil
}

// endpoint is where uploads are created, empty if nothing says it.
func (c *common) endpoint() string {
	if c.Endpoint != "" {
		return string(c.Endpoint)
	}
	return os.Getenv("TUS_ENDPOINT")
}
