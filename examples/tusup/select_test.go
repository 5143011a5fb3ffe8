package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// writeTree writes files, each with its name as content, into the directory of cmd.
func writeTree(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Skip(err) // some systems allow only UTF-8
		}
	}
}

// wantContents fails unless the server has exactly these uploads, all complete.
func wantContents(t *testing.T, srv *tustest.Server, want ...string) {
	t.Helper()
	var got []string
	for _, up := range srv.Uploads() {
		if !up.Complete() {
			t.Errorf("upload %s is incomplete", up.ID)
		}
		got = append(got, string(up.Data))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("contents are %q, want %q", got, want)
	}
}

// metadataOf decodes the metadata of an upload.
func metadataOf(t *testing.T, up tustest.Upload) map[string]string {
	t.Helper()
	m := map[string]string{}
	for pair := range strings.SplitSeq(up.Metadata, ",") {
		key, encoded, _ := strings.Cut(pair, " ")
		value, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		m[key] = string(value)
	}
	delete(m, "")
	return m
}

func TestGlobs_ExcludeWinsOverInclude(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	cmd := command(t, "--endpoint", srv.Endpoint(), "--include", "*.jpg", "--include", "2026/**", "--exclude", "cache", "--exclude", "x*", "photos")
	writeTree(t, cmd.Dir, "photos/a.jpg", "photos/x.jpg", "photos/b.png", "photos/2026/11/c.png", "photos/2026/cache/d.jpg", "photos/.e.jpg")
	got := finish(t, cmd)
	if got.code != exitOK || !strings.Contains(got.stderr, "tusup: skipped: 3 entries by --include and --exclude\n") {
		t.Errorf("outcome is %+v", got)
	}
	wantContents(t, srv, "photos/a.jpg", "photos/2026/11/c.png", "photos/.e.jpg")
}

func TestFilesFrom_LinesAndArguments(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	cmd := command(t, "--endpoint", srv.Endpoint(), "--files-from", "list", "named")
	writeTree(t, cmd.Dir, "named", "a b", "dir/c", "dir/d", "not listed")
	if err := os.WriteFile(filepath.Join(cmd.Dir, "list"), []byte("\na b\r\ndir\nnamed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := finish(t, cmd)
	if got.code != exitOK || !strings.Contains(got.stderr, "skipped: 1 file named twice") {
		t.Errorf("outcome is %+v", got)
	}
	wantContents(t, srv, "named", "a b", "dir/c", "dir/d")
}

func TestFilesFrom_StandardInputSeparatedByNUL(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	names := []string{"new\nline", "not\xffUTF-8", " space ", "#hash", "end\r", "-"}
	cmd := command(t, "--endpoint", srv.Endpoint(), "--files-from", "-", "-0")
	writeTree(t, cmd.Dir, names...)
	cmd.Stdin = strings.NewReader(strings.Join(names, "\x00") + "\x00")
	if got := finish(t, cmd); got.code != exitOK {
		t.Errorf("outcome is %+v", got)
	}
	wantContents(t, srv, names...)
}

func TestFilesFrom_EmptyListUploadsNothing(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	cmd := command(t, "--endpoint", srv.Endpoint(), "--files-from", "-")
	cmd.Stdin = strings.NewReader("\n\n")
	if got := finish(t, cmd); got.code != exitOK || got.stderr != "tusup: no files to upload\n" || len(srv.Requests()) != 0 {
		t.Errorf("outcome is %+v, %d requests", got, len(srv.Requests()))
	}
}

func TestFilesFrom_InterruptEndsReading(t *testing.T) {
	cmd := command(t, "--endpoint", "http://127.0.0.1:1/", "--files-from", "-")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond) // until it reads
	cmd.Process.Signal(os.Interrupt)
	wantExit(t, cmd, 5*time.Second, exitInterrupted)
}

func TestHidden_SkipIsForDirectoriesOnly(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	cmd := command(t, "--endpoint", srv.Endpoint(), "--hidden", "skip", ".named", "dir")
	writeTree(t, cmd.Dir, ".named", "dir/.a", "dir/.git/b", "dir/c")
	if got := finish(t, cmd); got.code != exitOK || !strings.Contains(got.stderr, "skipped: 2 hidden entries") {
		t.Errorf("outcome is %+v", got)
	}
	wantContents(t, srv, ".named", "dir/c")
}

func TestFollow_LinksToDirectories(t *testing.T) {
	for name, test := range map[string]struct {
		args    []string
		skipped string
		want    []string
	}{
		"default": {nil, "tusup: skipped: 2 links to directories (--follow uploads them), 1 empty directory\n", []string{"dir/a"}},
		"follow":  {[]string{"--follow"}, "tusup: skipped: 1 link to a directory above it, 1 empty directory\n", []string{"dir/a", "other/b"}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			cmd := command(t, append(test.args, "--endpoint", srv.Endpoint(), "--progress", "none", "dir")...)
			writeTree(t, cmd.Dir, "dir/a", "other/b")
			if err := os.Mkdir(filepath.Join(cmd.Dir, "dir", "empty"), 0o700); err != nil {
				t.Fatal(err)
			}
			for link, target := range map[string]string{"dir/loop": "../dir", "dir/link": "../other"} {
				if err := os.Symlink(target, filepath.Join(cmd.Dir, link)); err != nil {
					t.Skip(err)
				}
			}
			if got := finish(t, cmd); got.code != exitOK || !strings.HasPrefix(got.stderr, test.skipped) {
				t.Errorf("outcome is %+v", got)
			}
			wantContents(t, srv, test.want...)
		})
	}
}

func TestDryRun_SendsNoRequest(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	cmd := command(t, "--endpoint", srv.Endpoint(), "--dry-run", "--relative-names", "--manifest", "sums", "dir", "-")
	writeTree(t, cmd.Dir, "dir/a.txt", "dir/b\nc")
	got := finish(t, cmd)
	want := "dir/a.txt → a.txt: 9 B, text/plain; charset=utf-8\n" + `dir/b\nc → b\nc: 7 B, text/plain; charset=utf-8` + "\n-: unknown size\n3 files, 16 B and standard input\n"
	if got.code != exitOK || got.stdout != want || got.stderr != "" {
		t.Errorf("outcome is %+v", got)
	}
	if n := len(srv.Requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	if _, err := os.Stat(filepath.Join(cmd.Dir, "sums")); err == nil {
		t.Error("a manifest was written")
	}
}

func TestDryRun_JSONHasMetadata(t *testing.T) {
	cmd := command(t, "--dry-run", "--json", "--metadata", "k=v", "a.txt", "-", "missing")
	writeTree(t, cmd.Dir, "a.txt")
	got := finish(t, cmd)
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	want := []string{
		`{"file":"a.txt","size":5,"metadata":{"filename":"a.txt","filetype":"text/plain; charset=utf-8","k":"v"},"resumes":false}`,
		`{"file":"-","size":null,"metadata":{"k":"v"},"resumes":false}`,
		`{"plan":{"files":2,"bytes":5,"already_uploaded":0}}`,
	}
	for _, line := range lines {
		wantSchema(t, line)
	}
	if got.code != exitFailed || len(lines) != 4 || !slices.Equal(lines[1:], want) {
		t.Errorf("exit code %d, lines:\n%s", got.code, got.stdout)
	}
}

func TestDryRun_FindsUnfinishedUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	path, _ := randomFile(t, 1_000_000)
	args := []string{"--endpoint", srv.Endpoint(), "--state", filepath.Join(t.TempDir(), "state"), "--metadata", "k=v", path}
	interrupted(t, srv, command(t, append(args, "--chunk-size", "100KB")...))
	requests := len(srv.Requests())
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"same":           {nil, ": 976.6 KiB, resumes an upload\n1 file, 976.6 KiB\n"},
		"other metadata": {[]string{"--metadata", "other=x"}, ": 976.6 KiB\n1 file, 976.6 KiB\n"},
	} {
		if got := tusup(t, append(append(args, "--dry-run"), test.args...)...); got != (outcome{exitOK, path + " → file.bin" + test.want, ""}) {
			t.Errorf("%s: outcome is %+v", name, got)
		}
	}
	if n := len(srv.Requests()); n != requests {
		t.Errorf("%d requests were sent", n-requests)
	}
}

// pixel is a PNG image.
var pixel = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89")

func TestMetadata_FilenameAndFiletype(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want map[string]string
	}{
		"default":        {[]string{"dir"}, map[string]string{"filename": "a.bin", "filetype": "image/png"}},
		"another key":    {[]string{"--metadata", "k=v", "dir"}, map[string]string{"filename": "a.bin", "filetype": "image/png", "k": "v"}},
		"relative":       {[]string{"--metadata", "k=v", "--relative-names", "."}, map[string]string{"filename": "dir/a.bin", "filetype": "image/png", "k": "v"}},
		"own":            {[]string{"--metadata", "filename=x", "--metadata", "filetype=y/z", "--relative-names", "dir"}, map[string]string{"filename": "x", "filetype": "y/z"}},
		"no type":        {[]string{"--no-filetype", "dir"}, map[string]string{"filename": "a.bin"}},
		"standard input": {[]string{"--metadata", "k=v", "-"}, map[string]string{"filetype": "image/png", "k": "v"}},
		"stdin, no type": {[]string{"--no-filetype", "-"}, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			cmd := command(t, append([]string{"--endpoint", srv.Endpoint(), "--no-state"}, test.args...)...)
			writeTree(t, cmd.Dir, "dir/a.bin")
			if err := os.WriteFile(filepath.Join(cmd.Dir, "dir", "a.bin"), pixel, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd.Stdin = bytes.NewReader(pixel)
			got := finish(t, cmd)
			ups := srv.Uploads()
			if got.code != exitOK || len(ups) != 1 {
				t.Fatalf("outcome is %+v, %d uploads", got, len(ups))
			}
			metadata := metadataOf(t, ups[0])
			if a, b := mustJSON(t, metadata), mustJSON(t, test.want); a != b {
				t.Errorf("metadata is %s, want %s", a, b)
			}
			if !bytes.Equal(ups[0].Data, pixel) {
				t.Errorf("content is %q", ups[0].Data)
			}
		})
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFiletype_DetectionKeepsBytesOfStream(t *testing.T) {
	_, data := randomFile(t, 100_000)
	for _, size := range []int{0, 1, headLength - 1, headLength, headLength + 1, len(data)} {
		srv := tustest.NewServer(t, nil)
		cmd := command(t, "--endpoint", srv.Endpoint(), "--json", "-")
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() { // in small pieces
			defer stdin.Close()
			io.CopyBuffer(struct{ io.Writer }{stdin}, struct{ io.Reader }{bytes.NewReader(data[:size])}, make([]byte, 1000))
		}()
		got := finish(t, cmd)
		if got.code != exitOK {
			t.Fatalf("exit code %d: %s", got.code, got.stderr)
		}
		wantStored(t, srv, decode(t, got.stdout).URL, data[:size])
	}
}

func TestFiletype_SilentStreamDoesNotDelayFiles(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	cmd := command(t, "--endpoint", srv.Endpoint(), "--no-state", "-", "a")
	writeTree(t, cmd.Dir, "a")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); len(srv.Uploads()) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the file is not uploaded while standard input is silent")
		}
	}
	cmd.Process.Signal(os.Interrupt)
	wantExit(t, cmd, 5*time.Second, exitInterrupted)
	stdin.Close()
}

// The detected type is not part of the resume key.
func TestResumeKey_CoversPathAndGivenMetadata(t *testing.T) {
	for name, test := range map[string]struct {
		before, after []string
		rename        bool
		resumes       bool
	}{
		"same":                {[]string{"file"}, []string{"file"}, false, true},
		"without filetype":    {[]string{"file"}, []string{"--no-filetype", "file"}, false, true},
		"through a link":      {[]string{"file"}, []string{"link"}, false, true},
		"other metadata":      {[]string{"file"}, []string{"--metadata", "k=v", "file"}, false, false},
		"renamed":             {[]string{"file"}, []string{"renamed"}, true, false},
		"renamed, by content": {[]string{"--fingerprint", "content", "file"}, []string{"--fingerprint", "content", "renamed"}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			dir := t.TempDir()
			path, data := randomFile(t, 1_000_000)
			if err := os.Rename(path, filepath.Join(dir, "file")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("file", filepath.Join(dir, "link")); err != nil {
				t.Skip(err)
			}
			run := func(args []string) outcome {
				cmd := command(t, append([]string{"--endpoint", srv.Endpoint(), "--state", filepath.Join(dir, "state"), "--json", "--chunk-size", "100KB"}, args...)...)
				cmd.Dir = dir
				if slices.Equal(args, test.before) && len(srv.Uploads()) == 0 {
					return interrupted(t, srv, cmd)
				}
				return finish(t, cmd)
			}
			first := decode(t, run(test.before).stdout)
			if test.rename {
				if err := os.Rename(filepath.Join(dir, "file"), filepath.Join(dir, "renamed")); err != nil {
					t.Fatal(err)
				}
			}
			second := decode(t, run(test.after).stdout)
			wantStored(t, srv, second.URL, data)
			if (second.URL == first.URL) != test.resumes {
				t.Errorf("first result %+v, second %+v", first, second)
			}
		})
	}
}

func TestConcurrency_FailedFileInListOfMany(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "POST", Skip: 3, Action: tustest.Respond(http.StatusForbidden, "no")})
	cmd := command(t, "--endpoint", srv.Endpoint(), "--json", "dir")
	var names []string
	for _, n := range "abcdefgh" {
		names = append(names, "dir/"+string(n))
	}
	writeTree(t, cmd.Dir, names...)
	got := finish(t, cmd)
	failed := 0
	for _, l := range lines(t, got.stdout) {
		if l.Error != nil {
			failed++
		}
	}
	if got.code != exitFailed || failed != 1 || len(lines(t, got.stdout)) != 8 {
		t.Errorf("outcome is %+v", got)
	}
}
