//go:build unix

package proxy

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/seed-175555ba/tus-go/integration/servers"
)

// All returns all proxies in the order of the matrix.
func All() []servers.Proxy {
	var all []servers.Proxy
	for _, kind := range slices.Concat(nginx(), haproxy(), caddy(), apache(), lighttpd(), varnish(), squid(), envoy()) {
		all = append(all, servers.Proxy{
			Name: kind.name, Version: kind.installed, Start: kind.start, Setup: kind.setup,
			Command: strings.Join(kind.command(values{Dir: "DIR", File: "DIR/" + kind.file, Addr: "127.0.0.1:PORT"}), " "),
		})
	}
	return all
}

// Named returns the proxy with a name of the matrix.
func Named(name string) (servers.Proxy, error) {
	for _, p := range All() {
		if p.Name == name {
			return p, nil
		}
	}
	return servers.Proxy{}, fmt.Errorf("no proxy %q", name)
}

// kind is a proxy that reads one configuration file.
type kind struct {
	name, setup string
	program     string   // that is executed
	from        string   // how to install it
	version     string   // argument that prints the version
	args        []string // in which DIR, FILE and ADDR are replaced
	env         []string
	file        string // name of the configuration file
	config      string // its template, with the fields of values
	settings    string // in config, the difference between kinds of one program
	tls         bool
	flags       []string // of tusup
}

// values are the fields of the configuration files and arguments.
type values struct {
	Dir, File            string // absolute paths
	Addr, Port           string // to listen on
	Backend, BackendPort string // host and port
	Certificate, Key     string // paths, empty without TLS
	Root                 bool   // the program runs as root
	Settings             string
}

// command returns program and arguments.
func (k kind) command(v values) []string {
	command := []string{k.program}
	replacer := strings.NewReplacer("DIR", v.Dir, "FILE", v.File, "ADDR", v.Addr)
	for _, arg := range k.args {
		command = append(command, replacer.Replace(arg))
	}
	return command
}

// lookPath returns the path of the program. Debian has servers in directories that are not in the
// PATH of users.
func (k kind) lookPath() (string, error) {
	for _, dir := range []string{"", "/usr/sbin", "/usr/local/sbin"} {
		path, err := exec.LookPath(filepath.Join(dir, k.program))
		if err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is %w (%s)", k.program, servers.ErrNotInstalled, k.from)
}

// installed returns the version of the program.
func (k kind) installed() (string, error) {
	path, err := k.lookPath()
	if err != nil {
		return "", err
	}
	text, err := exec.Command(path, k.version).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", k.program, k.version, err, bytes.TrimSpace(text))
	}
	version := regexp.MustCompile(`\d+(\.\d+)+`).Find(text)
	if version == nil {
		return "", fmt.Errorf("%s %s prints no version: %q", k.program, k.version, text)
	}
	return string(version), nil
}

// start starts the proxy before backend.
func (k kind) start(ctx context.Context, dir string, backend *servers.Running) (*servers.Running, error) {
	path, err := k.lookPath()
	if err != nil {
		return nil, err
	}
	to, err := url.Parse(backend.Endpoint)
	if err != nil {
		return nil, err
	}
	if to.Scheme != "http" {
		return nil, fmt.Errorf("%s: the backend %s is not an http URL", k.name, to.Redacted())
	}
	v, err := k.prepare(dir, to)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.name, err)
	}
	cmd := exec.Command(path, k.command(v)[1:]...)
	cmd.Dir, cmd.Env = v.Dir, slices.Concat(os.Environ(), k.env, []string{"TMPDIR=" + v.Dir, "HOME=" + v.Dir})
	process, err := servers.StartProcess(cmd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.name, err)
	}
	if err := process.WaitReady(ctx, v.Addr); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", k.name, err), process.Kill())
	}
	through := *to
	through.Host = v.Addr
	running := *backend
	running.Endpoint, running.Flags = through.String(), slices.Concat(backend.Flags, k.flags)
	running.Close = func() { _ = process.Kill() } // the group may have ended already
	if k.tls {
		through.Scheme = "https"
		running.Endpoint, running.CAFile = through.String(), v.Certificate
	}
	return &running, nil
}

// prepare writes the configuration.
func (k kind) prepare(dir string, backend *url.URL) (values, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return values{}, err
	}
	addr, err := servers.FreeAddr()
	if err != nil {
		return values{}, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return values{}, err
	}
	v := values{
		Dir: dir, File: filepath.Join(dir, k.file), Addr: addr, Port: port,
		Backend:     net.JoinHostPort(backend.Hostname(), cmp.Or(backend.Port(), "80")),
		BackendPort: cmp.Or(backend.Port(), "80"),
		Root:        os.Geteuid() == 0, Settings: k.settings,
	}
	if k.tls {
		if v.Certificate, v.Key, err = writeCertificate(dir); err != nil {
			return values{}, err
		}
	}
	config, err := template.New(k.file).Option("missingkey=error").Parse(k.config)
	if err != nil {
		return values{}, err
	}
	var text bytes.Buffer
	if err := config.Execute(&text, v); err != nil {
		return values{}, err
	}
	return v, os.WriteFile(v.File, text.Bytes(), 0o600)
}
