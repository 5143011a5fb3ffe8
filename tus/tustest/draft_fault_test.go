package tustest_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// offsets returns the offsets of the notices, -1 for one with the upload URL.
func (r response) offsets() []string {
	var all []string
	for _, n := range r.notices {
		if n.header.Get("Location") != "" {
			all = append(all, "URL")
		} else {
			all = append(all, n.header.Get("Upload-Offset"))
		}
	}
	return all
}

func TestNotify_AcknowledgesStoredBytes(t *testing.T) {
	forDrafts(t, 3, 9, tustest.Options{}, func(t *testing.T, c draft) {
		c.srv.Inject(tustest.Fault{Times: 2, Action: tustest.Notify(2, nil)})
		created := c.create("hello", false)
		if want := strings.Fields(c.of(row{3, 4, "URL"}, row{5, 9, "URL 2 4"})); !slices.Equal(created.offsets(), want) {
			t.Errorf("notices of the creation are %q, want %q", created.offsets(), want)
		}
		path := pathOf(created)
		appended := c.append(path, 5, " world!", true)
		if want := strings.Fields(c.of(row{3, 4, ""}, row{5, 9, "7 9 11"})); !slices.Equal(appended.offsets(), want) {
			t.Errorf("notices of the append are %q, want %q", appended.offsets(), want)
		}
		if appended.status/100 != 2 {
			t.Errorf("append: %s", appended.show())
		}
		wantContent(t, c.srv, path, "hello world!")
	})
}

func TestNotify_ManyNotices(t *testing.T) {
	forDrafts(t, 9, 9, tustest.Options{}, func(t *testing.T, c draft) {
		c.srv.Inject(tustest.Fault{Action: tustest.Notify(1, nil)})
		if r := c.create(strings.Repeat("x", 10_000), true); r.status != 200 || len(r.notices) != 10_000 {
			t.Errorf("%s with %d notices", r.show(), len(r.notices))
		}
	})
}

func TestCutAfter_KeepsNotices(t *testing.T) {
	forDrafts(t, 5, 9, tustest.Options{}, func(t *testing.T, c draft) {
		c.srv.Inject(
			tustest.Fault{Method: "POST", Action: tustest.Notify(2, tustest.CutAfter(5))},
			tustest.Fault{Method: "POST", Action: tustest.Notify(2, tustest.LoseResponse())},
			tustest.Fault{Method: "POST", Action: tustest.LoseNotices(tustest.CutAfter(5))},
			tustest.Fault{Method: "POST", Action: tustest.LoseNotices(tustest.LoseResponse())},
		)
		for i, test := range []struct {
			offsets []string
			stored  string
			done    bool
		}{
			{[]string{"URL", "2", "4"}, "hello", false},
			{[]string{"URL", "2", "4"}, "hello!", true},
			{nil, "hello", false},
			{nil, "hello!", true},
		} {
			r := c.create("hello!", true)
			if r.status != 0 || len(r.offsets()) < len(test.offsets) || !slices.Equal(r.offsets()[:len(test.offsets)], test.offsets) || test.offsets == nil && len(r.notices) > 0 {
				t.Errorf("request %d: %s with notices %q", i, r.show(), r.offsets())
			}
			up := c.srv.Uploads()[i]
			if string(up.Data) != test.stored || up.Complete() != test.done {
				t.Errorf("request %d: upload is %+v", i, up)
			}
			if r := c.head("/files/" + up.ID); r.header.Get("Upload-Offset") != strconv.Itoa(len(test.stored)) {
				t.Errorf("request %d: HEAD is %s", i, r.show())
			}
		}
	})
}

func TestLoseNotices_KeepsResponse(t *testing.T) {
	forDrafts(t, 3, 9, tustest.Options{}, func(t *testing.T, c draft) {
		c.srv.Inject(tustest.Fault{Times: -1, Action: tustest.LoseNotices(tustest.Notify(1, nil))})
		r := c.create("hello", false)
		if len(r.notices) > 0 || r.status != 201 || r.header.Get("Location") == "" {
			t.Errorf("%s with notices %q", r.show(), r.offsets())
		}
	})
}

func TestMoveLocation_DiffersFromNotice(t *testing.T) {
	forDrafts(t, 3, 9, tustest.Options{}, func(t *testing.T, c draft) {
		c.srv.Inject(tustest.Fault{Times: -1, Action: tustest.MoveLocation("/files/moved", nil)})
		r := c.create("", false)
		if r.header.Get("Location") != "/files/moved" || r.notices[0].header.Get("Location") != "/files/00000001" {
			t.Errorf("%s, notices %v", r.header.Get("Location"), r.notices)
		}
		if r := c.append("/files/00000001", 0, "hello", true); r.header.Get("Location") != "" {
			t.Error("response to an append has a Location")
		}
	})
}

func TestFinish_IsResponseOfTarget(t *testing.T) {
	for _, status := range []int{201, 303, 422, 500} {
		for _, d := range []tustest.Dialect{tustest.DialectDraft, tustest.DialectSwiftNIO} {
			forDrafts(t, 3, 9, dialect(d), func(t *testing.T, c draft) {
				c.srv.Inject(tustest.Fault{Times: -1, Action: tustest.Finish(status, "the target", "Location", "/target/1")})
				path := c.upload()
				if r := c.append(path, 0, "hel", false); r.status/100 != 2 || r.header.Get("Location") != "" {
					t.Errorf("append: %s", r.show())
				}
				r := c.append(path, 3, "lo", true)
				if r.status != status || r.body != "the target" || r.header.Get("Location") != "/target/1" {
					t.Errorf("end: %s %q", r.show(), r.body)
				}
				if c.interop >= 7 && r.header.Get("Upload-Complete") != "?1" {
					t.Errorf("end: %s", r.show())
				}
				wantContent(t, c.srv, path, "hello")
			})
		}
	}
}

func TestRespond_RejectsEarly(t *testing.T) {
	forDrafts(t, 7, 9, tustest.Options{}, func(t *testing.T, c draft) {
		c.srv.Inject(tustest.Fault{Action: tustest.Respond(422, "no", "Upload-Complete", "?1")})
		c.want("creation", c.create("hello", true), "422 Complete=?1")
	})
}
