//go:build unix

package servers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// strictServer is a server with the rules of a hosted service, of package strict in the examples.
type strictServer struct {
	name    string // heading
	rules   string // argument of the command
	headers []string
	flags   []string
	chunk   int64
}

// strictServers returns servers with the rules of hosted services. Those whose uploads only a
// backend can create are tested with the examples.
func strictServers() []Server {
	var all []Server
	for _, s := range []strictServer{
		{name: "rules of Bunny Stream", rules: "bunny-stream",
			headers: []string{"AuthorizationSignature: s", "AuthorizationExpire: 1", "LibraryId: 1", "VideoId: v"},
			flags:   []string{"--metadata", "filetype=video/mp4", "--metadata", "title=t"}},
		{name: "rules of Cloudflare Stream", rules: "cloudflare-stream",
			headers: []string{"Authorization: Bearer t"}, chunk: 5 << 20},
		{name: "rules of oCIS", rules: "ocis"},
		{name: "rules of Supabase Storage", rules: "supabase", headers: []string{"Authorization: Bearer t"},
			flags: []string{"--metadata", "bucketName=b", "--metadata", "objectName=o"}, chunk: 6 << 20},
		{name: "rules of Transloadit", rules: "transloadit",
			flags: []string{"--metadata", "assembly_url=u", "--metadata", "fieldname=f"}},
	} {
		all = append(all, Server{
			Name: s.name, Version: scriptVersion, Start: s.start, Setup: s.setup(), Scripted: true,
			Command: "cd examples && go run ./hosted/strict/serve " + s.rules,
		})
	}
	return all
}

// setup returns the flags that the rules require.
func (s strictServer) setup() string {
	var needs []string
	for _, header := range s.headers {
		name, _, _ := strings.Cut(header, ":")
		needs = append(needs, "`--header '"+name+": …'`")
	}
	for at := 0; at < len(s.flags); at += 2 {
		key, _, _ := strings.Cut(s.flags[at+1], "=")
		needs = append(needs, "`"+s.flags[at]+" "+key+"=…`")
	}
	if s.chunk > 0 {
		needs = append(needs, fmt.Sprintf("`--chunk-size %dMiB`", s.chunk/mib))
	}
	if len(needs) == 0 {
		return "`--metadata filename=NAME` for standard input."
	}
	return strings.Join(needs, ", ") + "."
}

// start builds the command in dir and starts it.
func (s strictServer) start(ctx context.Context, dir string) (*Running, error) {
	examples, err := examplesDir(ctx)
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(dir, "strict")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./hosted/strict/serve")
	build.Dir = examples
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w: %s", err, out)
	}
	cmd := exec.Command(binary, s.rules)
	reading, writing := io.Pipe()
	cmd.Stdout = writing
	p, err := StartProcess(cmd)
	if err != nil {
		return nil, err
	}
	go func() {
		<-p.Done()
		_ = writing.CloseWithError(errors.New("the server ended")) // CloseWithError returns nil
	}()
	var at struct{ Endpoint, Content string }
	line, err := bufio.NewReader(reading).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &at)
	}
	if err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	return &Running{
		Endpoint: at.Endpoint,
		Content: func(ctx context.Context, uploadURL string) (io.ReadCloser, error) {
			u, err := url.Parse(uploadURL)
			if err != nil {
				return nil, err
			}
			return get(ctx, at.Content+path.Base(u.Path))
		},
		Close:     func() { _ = p.Kill() }, // it has ended already
		Headers:   s.headers,
		Flags:     s.flags,
		ChunkSize: s.chunk,
	}, nil
}

// get returns the body of a response with status 200.
func get(ctx context.Context, from string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("GET %s: %s", from, resp.Status), resp.Body.Close())
	}
	return resp.Body, nil
}
