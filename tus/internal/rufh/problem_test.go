package rufh_test

import (
	"testing"

	"github.com/seed-175555ba/tus-go/tus/internal/rufh"
)

const problemJSON = "application/problem+json"

func TestParseProblem(t *testing.T) {
	for _, test := range []struct {
		contentType, body string
		want              rufh.Problem
		ok                bool
	}{
		{problemJSON, `{"type":"` + rufh.MismatchingOffset + `","title":"Mismatch","expected-offset":100,"provided-offset":200}`,
			rufh.Problem{Type: rufh.MismatchingOffset, Title: "Mismatch", ExpectedOffset: 100, ProvidedOffset: 200}, true},
		{problemJSON + "; charset=utf-8", `{"type":"` + rufh.InconsistentLength + `","detail":"5, not 6","status":400}`,
			rufh.Problem{Type: rufh.InconsistentLength, Detail: "5, not 6", Status: 400, ExpectedOffset: -1, ProvidedOffset: -1}, true},
		{"Application/Problem+JSON", `{}`, rufh.Problem{Type: "about:blank", ExpectedOffset: -1, ProvidedOffset: -1}, true},
		{problemJSON, `{"type":5,"title":null,"status":"400","expected-offset":"5","provided-offset":-3}`,
			rufh.Problem{Type: "about:blank", ExpectedOffset: -1, ProvidedOffset: -1}, true},
		{problemJSON, `{"expected-offset":1.5,"provided-offset":99999999999999999999}`,
			rufh.Problem{Type: "about:blank", ExpectedOffset: -1, ProvidedOffset: -1}, true},
		{problemJSON, `[]`, rufh.Problem{}, false},
		{problemJSON, `null`, rufh.Problem{}, false},
		{problemJSON, `{"type":`, rufh.Problem{}, false},
		{problemJSON, ``, rufh.Problem{}, false},
		{"application/json", `{}`, rufh.Problem{}, false},
		{"", `{}`, rufh.Problem{}, false},
	} {
		if got, ok := rufh.ParseProblem(test.contentType, []byte(test.body)); ok != test.ok || got != test.want {
			t.Errorf("%s %s is %+v, %v", test.contentType, test.body, got, ok)
		}
	}
}

func TestProblem_Message(t *testing.T) {
	for want, p := range map[string]rufh.Problem{
		"":              {Type: "about:blank"},
		"Title":         {Title: "Title"},
		"detail":        {Detail: "detail"},
		"Title: detail": {Title: "Title", Detail: "detail"},
		"same":          {Title: "same", Detail: "same"},
	} {
		if got := p.Message(); got != want {
			t.Errorf("message is %q, want %q", got, want)
		}
	}
}

func FuzzParseProblem(f *testing.F) {
	f.Add(problemJSON, `{"type":"a","title":"b","detail":"c","status":1,"expected-offset":2}`)
	f.Add(problemJSON, `{"type":[],"status":1e3}`)
	f.Add("text/plain", "no")
	f.Fuzz(func(t *testing.T, contentType, body string) {
		p, ok := rufh.ParseProblem(contentType, []byte(body))
		if ok && (p.ExpectedOffset < -1 || p.ProvidedOffset < -1) {
			t.Errorf("%q is %+v", body, p)
		}
		if !ok && p != (rufh.Problem{}) {
			t.Errorf("%q is refused, but %+v", body, p)
		}
	})
}
