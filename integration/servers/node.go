//go:build unix

package servers

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/seed-175555ba/tus-go/integration/npm"
)

//go:embed tusnode.cjs
var tusNodeScript []byte

//go:embed tusnode_old.cjs
var oldTusNodeScript []byte

//go:embed uploadx.cjs
var uploadxScript []byte

// nodeServer is a script with packages of npm.
type nodeServer struct {
	name     string // in the cache directory
	version  string // of the first package
	packages []string
	script   []byte
}

// nodeConfig is the argument of a script.
type nodeConfig struct {
	Host, Port, Dir string
	Expires         int       `json:",omitempty"` // milliseconds
	Finish          bool      `json:",omitempty"`
	S3              *s3Config `json:",omitempty"`
}

// installed returns the version, and installs nothing.
func (n nodeServer) installed() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(cache, "tus-go", "npm", n.name)); err != nil {
		return "", fmt.Errorf("%s is %w", n.packages[0], ErrNotInstalled)
	}
	return n.version, nil
}

// start starts the server in dir, with the configuration of config except its address.
func (n nodeServer) start(ctx context.Context, dir string, config nodeConfig) (launcher, error) {
	found, err := npm.InstallAll(ctx, n.name, n.packages...)
	if errors.Is(err, npm.ErrMissing) {
		return nil, fmt.Errorf("%s is %w: %w", n.packages[0], ErrNotInstalled, err)
	}
	if err != nil {
		return nil, err
	}
	script := filepath.Join(dir, "server.cjs")
	if err := os.WriteFile(script, n.script, 0o600); err != nil {
		return nil, err
	}
	config.Dir = filepath.Join(dir, "uploads")
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, err
	}
	return func(addr string) *exec.Cmd {
		config.Host, config.Port = hostPort(addr)
		encoded, err := json.Marshal(config)
		if err != nil {
			return &exec.Cmd{Err: err}
		}
		// Not the context of Start: the server outlives it.
		return found.Command(context.Background(), script, string(encoded))
	}, nil
}

// fileServer returns a server with the endpoint path that stores an upload in a file with its ID.
func (n nodeServer) fileServer(path string, config nodeConfig) func(context.Context, string) (*Running, error) {
	return func(ctx context.Context, dir string) (*Running, error) {
		l, err := n.start(ctx, dir, config)
		if err != nil {
			return nil, err
		}
		return l.start(ctx, path, files(filepath.Join(dir, "uploads"), same), nil)
	}
}

func tusNode() nodeServer {
	return nodeServer{"tus-server-2", "2.4.5", []string{"@tus/server@2.4.5", "@tus/file-store@2.1.1", "@tus/s3-store@2.0.7"}, tusNodeScript}
}

func tusNode1() nodeServer {
	return nodeServer{"tus-server-1", "1.0.0", []string{"@tus/server@1.0.0", "@tus/file-store@1.0.0"}, tusNodeScript}
}

func oldTusNode() nodeServer {
	return nodeServer{"tus-node-server-0.9", "0.9.0", []string{"tus-node-server@0.9.0"}, oldTusNodeScript}
}

func uploadx() nodeServer {
	return nodeServer{"uploadx-7", "7.0.3", []string{"@uploadx/core@7.0.3", "express@5.3.0"}, uploadxScript}
}

// expiry is when uploads of an expiring server expire, in milliseconds.
const expiry = 1000

// TusNode returns @tus/server with a store in files.
func TusNode() Server {
	return Server{
		Name:     "@tus/server, file store",
		Version:  tusNode().installed,
		Start:    tusNode().fileServer("/files/", nodeConfig{}),
		Expiring: tusNode().fileServer("/files/", nodeConfig{Expires: expiry}),
		Setup:    "Nothing; `--method-override` does not work.",
		Command:  "new Server({path: '/files', datastore: new FileStore({directory})}).listen()",
	}
}

// nodeServers returns the other servers that run under Node.
func nodeServers() []Server {
	return []Server{{
		Name:     "@tus/server, onUploadFinish",
		Version:  tusNode().installed,
		Start:    tusNode().fileServer("/files/", nodeConfig{Finish: true}),
		Expiring: tusNode().fileServer("/files/", nodeConfig{Finish: true, Expires: expiry}),
		Setup:    "Let `onUploadFinish` keep the status: small files have an upload URL only if their creation is 201.",
		Command:  "new Server({path: '/files', datastore, onUploadFinish: async () => ({status_code: 200, body})}).listen()",
	}, {
		Name:    "@tus/server 1.0, file store",
		Version: tusNode1().installed,
		Start:   tusNode1().fileServer("/files/", nodeConfig{}),
		Setup:   "Nothing.",
		Command: "new Server({path: '/files', datastore: new FileStore({directory})}).listen()",
	}, {
		Name:    "tus-node-server 0.9",
		Version: oldTusNode().installed,
		Start:   oldTusNode().fileServer("/files/", nodeConfig{}),
		Setup:   "Nothing.",
		Command: "server.datastore = new tus.FileStore({directory}); server.listen()",
	}, {
		Name:     "@uploadx/core with express",
		Version:  uploadx().installed,
		Start:    uploadx().fileServer("/files", nodeConfig{}),
		Expiring: uploadx().fileServer("/files", nodeConfig{Expires: expiry}),
		Setup:    "The endpoint without a slash at the end; `--metadata filename=NAME` and `--buffer-limit` for standard input; `--checksum off` keeps what was sent before an interruption.",
		Command:  "app.use('/files', tus({directory}))",
	}}
}
