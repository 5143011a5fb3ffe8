package tustest_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func dialect(d tustest.Dialect) tustest.Options {
	return tustest.Options{Draft: tustest.DraftOptions{Dialect: d}}
}

// The module integration compares the same requests with tusd 2.9.1.
func TestDialect_Tusd(t *testing.T) {
	opts := dialect(tustest.DialectTusd)
	opts.MaxSize = 20
	forDrafts(t, 3, 6, opts, func(t *testing.T, c draft) {
		interop := "Interop=" + strconv.Itoa(c.interop)
		no, yes := "Complete=?0", "Complete=?1"
		if c.interop == 3 {
			no, yes = "Incomplete=?1", "Incomplete=?0"
		}
		const limit = "Limit=max-size=20, min-size=0"
		r := c.do("OPTIONS", "/files/", nil)
		c.want("OPTIONS", r, "200 "+limit)
		if r.header.Get("Tus-Version") != "1.0.0" || r.header.Get("Tus-Extension") == "" || r.header.Get("Tus-Resumable") != "" {
			t.Errorf("OPTIONS: %v", r.header)
		}
		created := c.create("", false, "Upload-Length", "10")
		c.want("creation", created, "201 "+interop+" "+limit+" Location Offset=0")
		if len(created.notices) != 1 || !strings.HasPrefix(created.notices[0].header.Get("Location"), c.srv.HTTP.URL) {
			t.Errorf("notices are %v", created.notices)
		} else if got := showFields(104, created.notices[0].header); got != "104 "+interop+" "+limit+" Location" {
			t.Errorf("notice is %q", got)
		}
		path := pathOf(created)
		c.want("HEAD", c.head(path), "204 "+no+" "+interop+" Length=10 "+limit+" Offset=0")
		c.want("HEAD with extras", c.do("HEAD", path, nil, "Upload-Offset", "0"), "204 "+no+" "+interop+" Length=10 "+limit+" Offset=0")
		c.want("append", c.append(path, 0, "hello", false), "204 Offset=5")
		c.want("length again", c.append(path, 5, "", false, "Upload-Length", "10"), "400")
		r = c.append(path, 4, "x", false)
		c.want("another offset", r, "409")
		if strings.TrimSpace(r.body) != "ERR_MISMATCHED_OFFSET" {
			t.Errorf("body is %q", r.body)
		}
		c.want("beyond the length", c.append(path, 5, "world"+strings.Repeat("!", 100_000), true), "413")
		wantContent(t, c.srv, path, "hello")
		c.want("too short", c.append(path, 5, "wor", true), "204 Offset=8")
		if up, _ := c.srv.Upload(path); up.Complete() {
			t.Error("short upload is complete")
		}
		c.want("last bytes without the end", c.append(path, 8, "ld", false), "204 Offset=10")
		if up, _ := c.srv.Upload(path); !up.Complete() {
			t.Error("upload is not complete")
		}
		c.want("HEAD after the end", c.head(path), "204 "+yes+" "+interop+" Length=10 "+limit+" Offset=10")
		c.want("empty end", c.append(path, 10, "", true), "204 Offset=10")
		c.want("DELETE", c.do("DELETE", path, nil), "204")
		c.want("HEAD after DELETE", c.head(path), "404")

		stream := c.upload()
		c.append(stream, 0, "hello", false)
		c.want("end of a stream", c.append(stream, 5, "", true), "204 Offset=5")
		if up, _ := c.srv.Upload(stream); !up.Complete() {
			t.Error("stream is not complete")
		}
		c.want("creation above max-size", c.create("", false, "Upload-Length", "9999999"), "201 "+interop+" "+limit+" Location Offset=0")
		c.want("inconsistent creation", c.create("hello", true, "Upload-Length", "7"), "400")
		if c.interop == 6 {
			c.want("append without Content-Type", c.append(stream, 5, "", true, "Content-Type", ""), "400")
		}
		if r := c.do("PUT", "/files/", nil, c.complete(true)...); r.status != 405 {
			t.Errorf("PUT: %s", r.show())
		}
	})
	forDrafts(t, 7, 9, opts, func(t *testing.T, c draft) {
		if r := c.create("", true); r.status != 412 {
			t.Errorf("creation: %s", r.show())
		}
	})
}

func TestDialect_SwiftNIO(t *testing.T) {
	forDrafts(t, 3, 9, dialect(tustest.DialectSwiftNIO), func(t *testing.T, c draft) {
		path := c.upload()
		c.want("append", c.append(path, 0, "hello", false), c.of(
			row{3, 3, "201 Incomplete=?1 Offset=5"}, row{4, 6, "201 Complete=?0 Offset=5"}, row{7, 9, "204 Complete=?0"}))
		c.want("end", c.append(path, 5, "", true), c.of(
			row{3, 3, "201 Complete=?1 Offset=5"}, row{4, 6, "201 Incomplete=?0 Offset=5"}, row{7, 9, "200 Complete=?1"}))
	})
}

func TestDialect_Mute(t *testing.T) {
	forDrafts(t, 3, 9, dialect(tustest.DialectMute), func(t *testing.T, c draft) {
		c.srv.Inject(tustest.Fault{Method: "PATCH", Action: tustest.Notify(1, nil)})
		created := c.create("", false)
		appended := c.append(pathOf(created), 0, "hello", true)
		if len(created.notices)+len(appended.notices) > 0 || appended.status/100 != 2 {
			t.Errorf("notices are %v, %v", created.notices, appended.notices)
		}
	})
}

func TestDialect_Gone(t *testing.T) {
	forDrafts(t, 3, 9, dialect(tustest.DialectGone), func(t *testing.T, c draft) {
		path := c.upload()
		if r := c.head(path); r.status != 204 {
			t.Errorf("HEAD: %s", r.show())
		}
		if r := c.append(path, 0, "hello", true); r.status/100 != 2 {
			t.Errorf("end: %s", r.show())
		}
		c.want("HEAD after the end", c.head(path), "404")
		c.want("the end again", c.append(path, 5, "", true), "404")
		if up, ok := c.srv.Upload(path); !ok || !up.Complete() || string(up.Data) != "hello" {
			t.Errorf("upload is %+v", up)
		}
	})
}

func TestDialect_Silent(t *testing.T) {
	forDrafts(t, 3, 9, dialect(tustest.DialectSilent), func(t *testing.T, c draft) {
		path := c.upload("Upload-Length", "5")
		c.want("HEAD", c.head(path), c.of(row{3, 7, "200 Offset=0"}, row{8, 9, "200 Limit=min-size=0 Offset=0"}))
		c.append(path, 0, "hello", true)
		c.want("HEAD after the end", c.head(path), c.of(row{3, 7, "200 Offset=5"}, row{8, 9, "200 Limit=min-size=0 Offset=5"}))
		if c.interop == 8 {
			c.want("OPTIONS", c.do("OPTIONS", "/files/", nil), "204 Accept-Patch")
		}
	})
}

func TestDialect_Slip(t *testing.T) {
	forDrafts(t, 3, 9, dialect(tustest.DialectSlip), func(t *testing.T, c draft) {
		path := c.upload()
		c.want("append", c.append(path, 0, "hello", false), c.of(
			row{3, 3, "201 Incomplete=?1 Offset=5"}, row{4, 6, "201 Complete=?1 Offset=5"}, row{7, 9, "204 Complete=?0"}))
		if up, _ := c.srv.Upload(path); up.Complete() {
			t.Error("upload is complete")
		}
	})
}
