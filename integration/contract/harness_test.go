package contract_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// Each scenario expects something else than what happens.
func TestScenario_WrongExpectationFails(t *testing.T) {
	const post = `
		> POST /files/ | Upload-Length: 11
		< 201 | Location: /files/a`
	const whole = post + `
		> PATCH /files/a | Upload-Offset: 0 | body 0-11
		< 204 | Upload-Offset: 11`
	done := outcome{url: "/files/a"}
	for _, c := range []struct {
		problem string // a part of it
		scenario
	}{
		{"Upload-Length is [\"11\"]", scenario{exchanges: `
			> POST /files/ | Upload-Length: 12
			< 201 | Location: /files/a`, want: done}},
		{"Upload-Length is [\"11\"]", scenario{exchanges: `
			> POST /files/
			< 201 | Location: /files/a`, want: done}},
		{"X-Project is []", scenario{exchanges: `
			> POST /files/ | Upload-Length: 11 | X-Project: 7
			< 201 | Location: /files/a`, want: done}},
		{"X-Project is [\"7\"]", scenario{options: options{header: map[string]string{"X-Project": "7"}}, exchanges: `
			> POST /files/ | Upload-Length: 11 | no X-Project
			< 201 | Location: /files/a`, want: done}},
		{"Upload-Metadata is", scenario{options: options{metadata: tus.Metadata{"a": "1", "b": "2"}}, exchanges: `
			> POST /files/ | Upload-Length: 11 | Upload-Metadata: a MQ==,b MQ==
			< 201 | Location: /files/a`, want: done}},
		{"the body is \"hello world\"", scenario{exchanges: post + `
			> PATCH /files/a | Upload-Offset: 0 | body 0-10
			< 204 | Upload-Offset: 10`, want: done}},
		{"the trailer Upload-Checksum is \"\"", scenario{exchanges: post + `
			> PATCH /files/a | Upload-Offset: 0 | body 0-11 | trailer Upload-Checksum: sha1 x
			< 204 | Upload-Offset: 11`, want: done}},
		{"is POST http://tus.test/files/", scenario{exchanges: `
			> HEAD /files/a
			< 404`, want: done}},
		{"expected no request", scenario{exchanges: post, want: done}},
		{"no request > HEAD /files/a", scenario{exchanges: whole + `
			> HEAD /files/a
			< 404`, want: done}},
		{"no request 2> HEAD /files/b", scenario{exchanges: whole + `
			1?> HEAD /files/a
			1?< 404
			2> HEAD /files/b
			2< 404`, want: done}},
		{"expected 1> POST /files/ | Upload-Length: 12", scenario{exchanges: `
			1> POST /files/ | Upload-Length: 12
			1< 500
			1> POST /files/ | Upload-Length: 11
			1< 201 | Location: /files/a`, want: done}},
		{"expected 1> POST /files/ | Upload-Length: 12", scenario{exchanges: `
			1> POST /files/ | Upload-Length: 12
			1< 500` + whole, want: done}},
		{"URL is /files/a, want /files/b", scenario{exchanges: whole, want: outcome{url: "/files/b"}}},
		{"error is <nil>", scenario{exchanges: whole, want: outcome{err: tus.ErrUploadGone}}},
		{"status is 400, want 401", scenario{exchanges: `
			> POST /files/ | Upload-Length: 11
			< 400`, want: outcome{status: 401}}},
		{"method is POST, want PATCH", scenario{exchanges: `
			> POST /files/ | Upload-Length: 11
			< 400`, want: outcome{status: 400, method: "PATCH"}}},
		{"the ID in the error is", scenario{exchanges: `
			> POST /files/ | Upload-Length: 11
			< 400`, want: outcome{status: 400, requestID: true}}},
		{"error is tus: POST", scenario{exchanges: `
			> POST /files/ | Upload-Length: 11
			< 400`, want: outcome{status: 400, message: "quota"}}},
		{"events is created /files/a, acknowledged 11, complete", scenario{exchanges: whole, want: outcome{url: "/files/a", events: "complete"}}},
		{"hooks is before POST", scenario{exchanges: whole, want: outcome{url: "/files/a", hooks: "before POST"}}},
		{"store is ", scenario{options: options{store: true}, exchanges: whole, want: outcome{url: "/files/a", stored: "/files/a"}}},
		{"wait is 0s", scenario{exchanges: whole, want: outcome{url: "/files/a", waited: time.Second}}},
		{"expiry is ", scenario{exchanges: whole, want: outcome{url: "/files/a", expires: "Sat, 01 Jan 2000 01:00:00 GMT"}}},
		{"offset is 0, want 5", scenario{stop: "pause at created /files/a", exchanges: post, want: outcome{err: tus.ErrPaused, offset: 5}}},
		{"the event \"acknowledged 5\" did not occur", scenario{stop: "abort at acknowledged 5", exchanges: whole, want: done}},
		{"call 2: no request > HEAD /files/a", scenario{exchanges: whole, want: done, then: []scenario{{call: list, exchanges: `
			> HEAD /files/a
			< 404`}}}},
		{"length is 11, want 12", scenario{call: info, url: "/files/a", exchanges: `
			> HEAD /files/a
			< 200 | Upload-Offset: 0 | Upload-Length: 11`, want: outcome{length: 12}}},
	} {
		problems := strings.Join(run(t, c.scenario), "\n")
		if !strings.Contains(problems, c.problem) {
			t.Errorf("the problem %q is not in %q", c.problem, problems)
		}
	}
}

func TestParse_RefusesOtherLines(t *testing.T) {
	for _, script := range []string{
		"POST /files/", "> POST /files/", "< 201", "> POST /files/\n> POST /files/", "a> POST /files/\na< 201",
		"1> POST /files/\n2< 201", "?> POST /files/\n< 201", "> POST /files/ | 0-11\n< 201",
		"> POST /files/\n< created", "> POST /files/\n< 201 | /files/a",
	} {
		if all, err := parse(script); err == nil {
			t.Errorf("%q has %d exchanges", script, len(all))
		}
	}
}

func TestScenarios_HaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{"": true}
	for _, area := range areas() {
		for _, s := range area.scenarios {
			if seen[s.name] {
				t.Errorf("%s: the name %q is used twice", area.name, s.name)
			}
			seen[s.name] = true
		}
	}
}
