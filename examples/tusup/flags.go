package main

import (
	"errors"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/seed-175555ba/tus-go/tus"
)

// flags is the command line. The tag uses lists the groups of flags in common that a
// command uses; without the tag, it uses all.
type flags struct {
	common

	Version kong.VersionFlag `help:"Print the version and exit." env:"-"`

	Upload       uploadCommand       `cmd:"" aliases:"up" default:"withargs" help:"Upload files, directories and standard input (the default)."`
	Enqueue      enqueueCommand      `cmd:"" help:"Put files and URLs into a queue, for workers."`
	Worker       workerCommand       `cmd:"" help:"Upload the jobs of a queue, until interrupted."`
	Queue        queueCommand        `cmd:"" uses:"resume,output" help:"List the jobs of a queue, and those that failed."`
	Watch        watchCommand        `cmd:"" help:"Upload what appears in a directory, until interrupted."`
	Info         infoCommand         `cmd:"" uses:"server,output" help:"Show the state of an upload."`
	Terminate    terminateCommand    `cmd:"" uses:"server,output" help:"Delete an upload on the server."`
	Verify       verifyCommand       `cmd:"" uses:"server,output" help:"Compare files with the digests in a manifest."`
	Doctor       doctorCommand       `cmd:"" uses:"server,output" help:"Try a server with small uploads: will uploads resume?"`
	Capabilities capabilitiesCommand `cmd:"" uses:"server,output" help:"Show what the server supports."`
	List         listCommand         `cmd:"" uses:"resume,output" help:"List unfinished uploads, and complete ones."`
	Forget       forgetCommand       `cmd:"" uses:"resume,output" help:"Forget uploads, which stay on the server."`
	Remotes      remotesCommand      `cmd:"" uses:"output" help:"List the remotes of the configuration file."`
	Serve        serveCommand        `cmd:"" uses:"output" help:"Run a tusd that stores uploads in a directory."`
	Help         helpCommand         `cmd:"" uses:"" noconfig:"" help:"Show the help text of a command."`
	Completion   completionCommand   `cmd:"" uses:"" noconfig:"" help:"Print a completion script for a shell."`
	CompleteLine completeCommand     `cmd:"" hidden:"" noconfig:"" uses:""`
	Man          manCommand          `cmd:"" hidden:"" noconfig:"" uses:"" help:"Print the man page."`
}

// flagGroups are the groups of the flags in common, in the order of the help texts.
func flagGroups() []kong.Group {
	return []kong.Group{
		{Key: "server", Title: "Server flags:"},
		{Key: "resume", Title: "Resume flags:"},
		{Key: "output", Title: "Output flags:"},
	}
}

// common are the flags of more than one command.
type common struct {
	connection `group:"server"`

	State   string `group:"resume" help:"Resume database: a file (default: in the user's state directory), or for several machines postgres://USER@HOST/DATABASE or nats://HOST,HOST/BUCKET. If the URL has a password, set $$TUS_STATE instead." placeholder:"FILE|URL" file:""`
	NoState bool   `group:"resume" help:"Use no resume database."`

	JSON    bool   `group:"output" help:"Print one JSON object per result to standard output." name:"json"`
	Verbose bool   `short:"v" help:"Log every request to standard error, without secrets."`
	Config  string `help:"Configuration file (default: tusup/config.toml in the user's configuration directory)." placeholder:"FILE"`

	settings *settings `kong:"-"`
}

// connection are the flags of all commands that send requests. A flag with the tag identity
// is a credential: it is not used for the endpoint of another source.
type connection struct {
	Endpoint        flagURL       `help:"Upload creation URL of the server (default: $$TUS_ENDPOINT)." placeholder:"URL" env:"-"`
	Remote          string        `help:"Remote of the configuration file that has the endpoint and its credentials. @NAME is the same." placeholder:"NAME" predictor:"remote"`
	Header          []string      `help:"Header of every request to the origin of the endpoint or to a --trusted-origin; not sent to any other origin. May be repeated." placeholder:"'K: V'" sep:"none" env:"-"`
	TokenFile       string        `help:"File with a bearer token, which is sent as --header is (default: $$TUS_TOKEN_FILE, or the token in $$TUS_TOKEN)." placeholder:"FILE" env:"-" file:""`
	TrustedOrigin   []string      `help:"Another origin (scheme, host and port) to which --header, --token-file, $$TUS_TOKEN and $$TUS_HEADERS are sent. May be repeated (default: $$TUS_TRUSTED_ORIGIN)." placeholder:"URL" sep:"none" env:"-"`
	ClientCert      string        `help:"File with a client certificate (PEM) for the endpoint and each --trusted-origin." placeholder:"FILE" file:"" identity:""`
	ClientKey       string        `help:"File with the key of --client-cert (PEM)." placeholder:"FILE" file:"" identity:""`
	Cookies         bool          `help:"Keep the cookies of the server until the end of the run. A load balancer may need them."`
	CookieFile      string        `help:"File with cookies to send, in the format of Netscape and curl. It is not written. Implies --cookies." placeholder:"FILE" file:""`
	CA              string        `help:"File with additional trusted CA certificates (PEM)." placeholder:"FILE" name:"ca" file:""`
	Insecure        bool          `help:"Do not verify the server's certificate."`
	Proxy           proxyURL      `help:"Proxy: an http, https or socks5 URL, or none (default: $$HTTPS_PROXY and $$HTTP_PROXY, except for the hosts in $$NO_PROXY)." placeholder:"URL"`
	HTTP2           bool          `help:"Use HTTP/2 if the server supports it (default: HTTP/1.1, where each file and part has its own connection)." name:"http2" env:"TUS_HTTP2"`
	MethodOverride  bool          `help:"Send PATCH as POST with X-HTTP-Method-Override, for networks that block PATCH."`
	Capabilities    capabilities  `help:"Extensions of the server, such as creation,termination,checksum:sha1, or none; OPTIONS is then not sent (default: the response to OPTIONS)." placeholder:"LIST"`
	Retries         int           `help:"Consecutive failures that are retried (default: 8). The count is reset when the server acknowledges bytes." default:"8" placeholder:"N"`
	StallTimeout    time.Duration `help:"Cut a connection on which no data moves for this long; 0 means no timeout." default:"30s"`
	ResponseTimeout time.Duration `help:"Timeout for the server's response after all bytes of a request were sent; 0 means no timeout." default:"5m"`
	SourceTimeout   time.Duration `help:"Timeout for one read of a file or of standard input; 0 means no timeout. With a timeout, files are copied through memory." default:"0s"`

	sources sources `kong:"-"`
}

// transfer are the flags of all commands that upload.
type transfer struct {
	ChunkSize    size    `help:"Maximum size of one request; 0, the default, adapts: first 16MiB, then what is sent in about a minute." default:"0" placeholder:"SIZE"`
	MinChunkSize size    `help:"Halve chunks that the server or a proxy refuses as too large (413), down to this size; with 0, the default, such an upload fails." default:"0" placeholder:"SIZE"`
	Parallel     int     `help:"Connections per file, if the server supports concatenation (default: 1)." default:"1" placeholder:"N"`
	Checksum     string  `help:"Checksum of each chunk: ${enum}. auto selects the first algorithm of this list that the server supports." enum:"auto,off,sha256,sha1,sha512,md5,crc32" default:"auto"`
	NoFiletype   bool    `help:"Do not detect the metadata filetype from the first bytes of each file."`
	Concurrency  int     `help:"Number of files uploaded at the same time (default: 4)." default:"4" placeholder:"N"`
	Bwlimit      bwlimit `help:"Maximum bytes per second for all files together: a size, off (the default), or a timetable of local times such as '08:00,512K 19:00,off' or 'Mon-08:00,1M Sat-00:00,off'." default:"off" placeholder:"RATE"`
	Fingerprint  string  `help:"How to fingerprint files: ${enum}. With a --state that machines share, a file has the name below its directory on the command line; content also finds a copy with another time." enum:"sample,content,stat" default:"sample"`
	Quiet        bool    `short:"q" help:"Print errors only: no results, except with --json, and no progress."`
}

// naming are the flags of commands that choose the metadata of files.
type naming struct {
	Metadata      []string `help:"Metadata of the upload, in addition to filename and filetype or instead of them. May be repeated." placeholder:"K=V" sep:"none"`
	RelativeNames bool     `help:"For files in a directory, set the metadata filename to the path relative to the directory."`
}

// uploadCommand uploads files.
type uploadCommand struct {
	Files []string `arg:"" optional:"" name:"FILE" help:"File or directory; - is standard input, of unknown size."`

	selection
	DryRun bool `help:"Print what would be uploaded, and send no request."`
	integrity

	transfer
	naming

	Local          bool    `help:"Upload to a tusd in this process, which stores in ./uploads: to try tusup without a server."`
	Again          bool    `help:"Upload files again that were uploaded in the last 30 days."`
	CheckUploaded  bool    `help:"Request each file that was uploaded before from the server, and upload it again if the server no longer has it."`
	UploadURL      flagURL `help:"Resume the upload at this URL instead of creating one." placeholder:"URL" env:"-"`
	BufferLimit    size    `help:"Maximum size of standard input that is read into memory if the server does not support a deferred length; 0, the default, means none." default:"0" placeholder:"SIZE"`
	DeferredLength bool    `help:"Send the length only at the end."`
	TerminateFail  bool    `help:"Delete a failed upload on the server, if this run created it or resumed it from the database." name:"terminate-on-fail"`
	Held           string  `help:"What to do if another process may be working on the stored upload: ${enum}. wait resumes it when it is released, and sends nothing if it is complete then; begin uploads the file a second time." enum:"wait,fail,begin" default:"wait"`
	Refused        string  `help:"What to do if the server refuses to show the stored upload, so that it cannot be resumed: ${enum}. start-over forgets it and sends the file from its first byte." enum:"fail,start-over" default:"fail"`
	Progress       string  `help:"How to show progress on standard error: ${enum}." enum:"auto,bar,plain,none" default:"auto"`
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
	u.resetDefaults(c)
	if err := u.checkSelection(u.Files); err != nil {
		return err
	}
	switch {
	case u.FilesFrom != "" && u.UploadURL != "":
		return usagef("--files-from cannot be used with --upload-url")
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
	}
	if err := u.checkIntegrity(); err != nil {
		return err
	}
	for _, arg := range u.Files {
		if !strings.HasPrefix(arg, "http://") && !strings.HasPrefix(arg, "https://") {
			continue
		}
		if _, err := os.Stat(arg); err != nil { // the URL is not repeated: it may have a secret
			return usagef("a URL is not a file: use --endpoint or --upload-url")
		}
	}
	if _, err := u.metadata(); err != nil {
		return err
	}
	return u.transfer.check(c)
}

// resetDefaults resets the flags that cannot be used with --upload-url, if they are not on
// the command line: a configuration file has them for other uploads.
func (u *uploadCommand) resetDefaults(c *common) {
	if u.DeferredLength && u.Parallel > 1 && c.settings.has("parallel") {
		u.Parallel = 1
	}
	if u.DeferredLength && u.Parallel > 1 && c.settings.has("deferred-length") {
		u.DeferredLength = false
	}
	if u.UploadURL == "" {
		return
	}
	if c.settings.has("metadata") {
		u.Metadata = nil
	}
	if c.settings.has("parallel") {
		u.Parallel = 1
	}
	if c.settings.has("terminate-on-fail") {
		u.TerminateFail = false
	}
}

// resetDefaults resets one of two flags that exclude each other, if it is not on the command
// line.
func (t *transfer) resetDefaults(c *common) {
	if t.Quiet && c.Verbose && c.settings.has("quiet") {
		t.Quiet = false
	}
	if t.Quiet && c.Verbose && c.settings.has("verbose") {
		c.Verbose = false
	}
	if c.NoState && c.State != "" && c.settings.has("state") {
		c.State = ""
	}
	if c.NoState && c.State != "" && c.settings.has("no-state") {
		c.NoState = false
	}
}

// check returns a usage error for flags that kong accepts.
func (t *transfer) check(c *common) error {
	t.resetDefaults(c)
	switch {
	case t.Parallel < 1:
		return usagef("--parallel %d: must be at least 1", t.Parallel)
	case t.Concurrency < 1:
		return usagef("--concurrency %d: must be at least 1", t.Concurrency)
	case t.Quiet && c.Verbose:
		return usagef("--quiet cannot be used with --verbose")
	}
	return c.check()
}

// check returns a usage error for flags that kong accepts.
func (c *common) check() error {
	switch {
	case c.Retries < 0:
		return usagef("--retries %d: must not be negative", c.Retries)
	case c.StallTimeout < 0:
		return usagef("--stall-timeout %v: must not be negative", c.StallTimeout)
	case c.ResponseTimeout < 0:
		return usagef("--response-timeout %v: must not be negative", c.ResponseTimeout)
	case c.SourceTimeout < 0:
		return usagef("--source-timeout %v: must not be negative", c.SourceTimeout)
	case (c.ClientCert == "") != (c.ClientKey == ""):
		return usagef("--client-cert and --client-key require each other")
	case c.NoState && c.State != "":
		return usagef("--state cannot be used with --no-state")
	}
	if err := c.checkState(); err != nil {
		return err
	}
	_, err := c.sources.flags()
	return err
}

// metadata parses --metadata. It returns nil if there is none.
func (n *naming) metadata() (tus.Metadata, error) {
	if len(n.Metadata) == 0 {
		return nil, nil
	}
	m := tus.Metadata{}
	for _, pair := range n.Metadata {
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
