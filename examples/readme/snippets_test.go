package readme_test

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// packages lists the packages that a snippet may use without an import.
var packages = []string{
	"bytes", "context", "crypto/hmac", "crypto/sha256", "crypto/tls", "crypto/x509", "encoding/hex", "errors",
	"fmt", "hash", "hash/crc32", "io", "log/slog", "net/http", "net/url", "os", "testing", "time",
	module + "/checksum", module + "/storage", module + "/storage/boltstore", module + "/storage/storagetest",
	module + "/tus", module + "/tus/httpsource", module + "/tus/tustest",
}

const module = "github.com/seed-175555ba/tus-go"

// Every Go block of the README compiles, passes go vet and is formatted. Its tests pass.
func TestSnippets_CompileAndPass(t *testing.T) {
	for _, p := range packages {
		if dir, ours := strings.CutPrefix(p, module+"/"); ours {
			dependOn(t, dir)
		}
	}
	dir := newModule(t)
	snippets := read(t, readme).in("go")
	if len(snippets) < 20 {
		t.Fatalf("found only %d snippets", len(snippets))
	}
	for _, b := range snippets {
		formatted, err := format.Source([]byte(b.text))
		if err != nil {
			t.Errorf("README.md:%d: %v", b.line, err)
			continue
		}
		if string(formatted) != b.text {
			t.Errorf("README.md:%d: not gofmt'ed", b.line)
		}
		if err := writeSnippet(dir, b); err != nil {
			t.Errorf("README.md:%d: %v", b.line, err)
		}
	}
	if out, err := goTool(t, dir, "vet", "./..."); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := goTool(t, dir, "test", "./..."); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The first program of the README resumes its upload in the second run.
func TestFirstProgram_Resumes(t *testing.T) {
	dir := newModule(t)
	program := read(t, readme).in("go")[0]
	if err := writeSnippet(dir, program); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "hello.exe")
	if out, err := goTool(t, dir, "build", "-o", binary, "./"+snippetDir(program)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	srv := tustest.NewServer(t, &tustest.Options{
		Extensions: tustest.Without("checksum", "checksum-trailer", "creation-with-upload"),
	})
	srv.Inject(
		tustest.Fault{Method: "PATCH", Action: tustest.CutAfter(1_000_000)},
		tustest.Fault{Method: "HEAD", Action: tustest.Respond(403, "not now")},
	)
	movie := filepath.Join(dir, "movie.mp4")
	data := bytes.Repeat([]byte("movie"), 500_000)
	if err := os.WriteFile(movie, data, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func() (string, error) {
		cmd := command(t, dir, binary, movie)
		cmd.Env = append(cmd.Env, "TUS_ENDPOINT="+srv.Endpoint())
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run(); err == nil || !strings.Contains(out, "Run it again to go on.") {
		t.Fatalf("the first run ended with %v: %s", err, out)
	}
	out, err := run()
	if err != nil {
		t.Fatalf("the second run ended with %v: %s", err, out)
	}
	url, tail, _ := strings.Cut(out, ": ")
	if tail != "2500000 bytes, 1000000 of them from before\n" {
		t.Errorf("the second run says %q", out)
	}
	if stored, _ := srv.Upload(url); !bytes.Equal(stored.Data, data) {
		t.Error("the server has other bytes")
	}
}

// newModule creates a module outside of this tree, like a user's, with the requirements
// of the examples.
func newModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	here := filepath.Clean(inRepository(t, ""))
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile("../" + name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "go.mod" {
			content = fmt.Appendf(content, "\nreplace %s => %s\n", module, strconv.Quote(here))
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// snippetDir returns the directory of a snippet, which is its own package.
func snippetDir(b block) string { return fmt.Sprintf("line%d", b.line) }

func writeSnippet(dir string, b block) error {
	dir = filepath.Join(dir, snippetDir(b))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	source, err := complete(b)
	if err != nil {
		return err
	}
	name := "snippet.go"
	if strings.Contains(source, "\nfunc Test") {
		name = "snippet_test.go"
	}
	return os.WriteFile(filepath.Join(dir, name), []byte(source), 0o600)
}

// complete returns the source file of a snippet. A program is unchanged, declarations get
// a package clause and imports, and statements become the body of a function.
func complete(b block) (string, error) {
	if strings.HasPrefix(b.text, "package ") {
		return b.text, nil
	}
	at := fmt.Sprintf("//line README.md:%d\n", b.line)
	body := at + b.text
	tree, err := parser.ParseFile(token.NewFileSet(), "", "package snippet\n"+body, parser.SkipObjectResolution)
	if err != nil || b.given != "" {
		head := "func snippet(" + b.given + ") error {\n"
		tree, err = parser.ParseFile(token.NewFileSet(), "", "package snippet\n"+head+body+"\n}", parser.SkipObjectResolution)
		if err != nil {
			return "", err
		}
		if !terminates(tree) {
			body += "return nil\n"
		}
		body = "var _ = snippet\n" + head + body + "}\n"
	}
	return "package snippet\n\n" + imports(tree) + body, nil
}

// terminates reports whether the function of a snippet ends with a return or an endless
// loop.
func terminates(tree *ast.File) bool {
	list := tree.Decls[0].(*ast.FuncDecl).Body.List
	if len(list) == 0 {
		return false
	}
	switch last := list[len(list)-1].(type) {
	case *ast.ReturnStmt:
		return true
	case *ast.ForStmt:
		return last.Cond == nil
	}
	return false
}

// imports returns the import declarations for the packages that a snippet uses.
func imports(tree *ast.File) string {
	known := map[string]string{}
	for _, p := range packages {
		known[path.Base(p)] = p
	}
	used := map[string]bool{}
	ast.Inspect(tree, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if name, ok := s.X.(*ast.Ident); ok && known[name.Name] != "" {
				used[known[name.Name]] = true
			}
		}
		return true
	})
	var b strings.Builder
	for _, p := range slices.Sorted(maps.Keys(used)) {
		fmt.Fprintf(&b, "import %q\n", p)
	}
	return b.String()
}

func goTool(t *testing.T, dir string, args ...string) ([]byte, error) {
	t.Helper()
	return command(t, dir, "go", args...).CombinedOutput()
}

// command returns a command in dir that is killed at the end of the test.
func command(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=", "GOFLAGS=", "TUS_TOKEN=", "TUS_HEADERS=")
	return cmd
}
