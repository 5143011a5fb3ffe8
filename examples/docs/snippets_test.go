package main

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
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// packages lists the packages that a snippet may use without an import.
var packages = []string{
	"bytes", "context", "crypto/hmac", "crypto/sha256", "crypto/tls", "crypto/x509", "encoding/hex", "errors",
	"fmt", "io", "io/fs", "log", "log/slog", "net/http", "net/url", "os", "strings", "testing", "time",
	module + "/checksum", module + "/fingerprint", module + "/storage", module + "/storage/boltstore",
	module + "/storage/filestore", module + "/storage/storagetest",
	module + "/tus", module + "/tus/httpsource", module + "/tus/presets", module + "/tus/tustest",
}

// variables are the types of the variables that a snippet may use without a declaration.
var variables = map[string]string{
	"authority": "*x509.CertPool",
	"client":    "*tus.Client",
	"ctx":       "context.Context",
	"endpoint":  "string",
	"key":       "[]byte",
	"pause":     "<-chan struct{}",
	"sign":      "func(ctx context.Context, path string) (string, error)",
	"resume":    "<-chan struct{}",
	"uploadURL": "string",
}

// Every Go block compiles, passes go vet and is formatted. Its tests pass.
func TestSnippets_CompileAndPass(t *testing.T) {
	t.Parallel()
	for _, p := range packages {
		if dir, ours := strings.CutPrefix(p, module+"/"); ours {
			dependOn(t, dir)
		}
	}
	dir := newModule(t)
	snippets := 0
	for _, path := range allPages(t) {
		for _, b := range read(t, path).in("go") {
			snippets++
			formatted, err := format.Source([]byte(b.text))
			if err != nil {
				t.Errorf("%s:%d: %v", b.page, b.line, err)
				continue
			}
			if string(formatted) != b.text {
				t.Errorf("%s:%d: not gofmt'ed", b.page, b.line)
			}
			source, err := complete(b)
			if err != nil {
				t.Errorf("%s:%d: %v", b.page, b.line, err)
				continue
			}
			writeSnippet(t, filepath.Join(dir, fmt.Sprintf("snippet%d", snippets)), source)
		}
	}
	if snippets < 10 {
		t.Fatalf("found only %d snippets", snippets)
	}
	if out, err := goTool(t, dir, "vet", "./..."); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := goTool(t, dir, "test", "./..."); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The function in the README resumes its upload in the second run.
func TestReadme_ProgramResumes(t *testing.T) {
	t.Parallel()
	dir := newModule(t)
	snippet := read(t, readme).in("go")[0]
	if lines := strings.Count(snippet.text, "\n") - 2; lines > 15 {
		t.Errorf("the body of the function has %d lines", lines)
	}
	source, err := complete(snippet)
	if err != nil {
		t.Fatal(err)
	}
	hello := filepath.Join(dir, "hello")
	writeSnippet(t, hello, strings.Replace(source, "package snippet\n", "package main\n", 1))
	program := `package main

import (
	"context"
	"log"
	"os"
)

func main() {
	if err := upload(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}
`
	if err := os.WriteFile(filepath.Join(hello, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "hello.exe")
	if out, err := goTool(t, dir, "build", "-o", binary, "./hello"); err != nil {
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
	if out, err := run(); err == nil || !strings.Contains(out, "403") {
		t.Fatalf("the first run ended with %v: %s", err, out)
	}
	out, err := run()
	if err != nil {
		t.Fatalf("the second run ended with %v: %s", err, out)
	}
	url, tail, _ := strings.Cut(out, ": ")
	if tail != "2500000 bytes, 1000000 stored before this run\n" {
		t.Errorf("the second run prints %q", out)
	}
	if stored, _ := srv.Upload(url); !bytes.Equal(stored.Data, data) {
		t.Error("the server has other bytes")
	}
}

// newModule creates a module outside of this tree, like a user's, with the requirements
// of the examples and the root module of this tree.
func newModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	requirements := readFile(t, "examples/go.mod")
	requirements = regexp.MustCompile(`(?m)^replace .*\n`).ReplaceAllString(requirements, "")
	root := filepath.Clean(inRepository(t, ""))
	for name, text := range map[string]string{
		"go.mod": fmt.Sprintf("%s\nreplace %s => %q\n", requirements, module, root),
		"go.sum": readFile(t, "examples/go.sum"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func writeSnippet(t *testing.T, dir, source string) {
	t.Helper()
	name := "snippet.go"
	if strings.Contains(source, "\nfunc Test") {
		name = "snippet_test.go"
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
}

// complete returns the source file of a snippet. A program is unchanged, declarations get
// a package clause and imports, and statements become the body of a function.
func complete(b block) (string, error) {
	if strings.HasPrefix(b.text, "package ") {
		return b.text, nil
	}
	parse := func(text string) (*ast.File, error) {
		return parser.ParseFile(token.NewFileSet(), "", "package snippet\n"+text, 0)
	}
	body := fmt.Sprintf("//line %s:%d\n", b.page, b.line) + b.text
	tree, err := parse(body)
	parameters := ""
	if err != nil {
		if tree, err = parse("func snippet() error {\n" + body + "\n}"); err != nil {
			return "", err
		}
		parameters = undeclared(tree)
		if !terminates(tree) {
			body += "return nil\n"
		}
		body = "var _ = snippet\nfunc snippet(" + parameters + ") error {\n" + body + "}\n"
	}
	return "package snippet\n\n" + imports(tree, parameters) + body, nil
}

// undeclared returns the parameters for the variables that a snippet uses and does not
// declare.
func undeclared(tree *ast.File) string {
	used := map[string]bool{}
	for _, name := range tree.Unresolved {
		if variables[name.Name] != "" {
			used[name.Name+" "+variables[name.Name]] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(used)), ", ")
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

// imports returns the import declarations for the packages that a snippet and its
// parameters use.
func imports(tree *ast.File, parameters string) string {
	known := map[string]string{}
	for _, p := range packages {
		known[path.Base(p)] = p
	}
	used := map[string]bool{}
	use := func(name string) {
		if known[name] != "" {
			used[known[name]] = true
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if name, ok := s.X.(*ast.Ident); ok {
				use(name.Name)
			}
		}
		return true
	})
	for _, m := range regexp.MustCompile(`(\w+)\.`).FindAllStringSubmatch(parameters, -1) {
		use(m[1])
	}
	var b strings.Builder
	for _, p := range slices.Sorted(maps.Keys(used)) {
		fmt.Fprintf(&b, "import %q\n", p)
	}
	return b.String()
}

// goTool runs the go command in a module outside of this tree.
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
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "TUS_TOKEN=", "TUS_HEADERS=")
	return cmd
}
