package doctor_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/doctor"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// always handles all requests with a method.
func always(method string, action tustest.Action) tustest.Fault {
	return tustest.Fault{Method: method, Times: -1, Action: action}
}

// onHeader handles requests that have a header field, the others normally.
func onHeader(name string, action tustest.Action) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if _, trailer := r.Trailer[name]; r.Header.Get(name) != "" || trailer {
			action(w, r, h)
			return
		}
		h.Serve(w, r)
	}
}

// onFinished handles requests for the finished upload that was interrupted, the others
// normally.
func onFinished(action tustest.Action) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if u, ok := h.Upload(r.URL.Path); ok && u.Complete() && len(u.Data) == doctor.DefaultSize {
			action(w, r, h)
			return
		}
		h.Serve(w, r)
	}
}

// storing lets the server store at most n bytes of a request.
func storing(n int64) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if r.ContentLength > n {
			r.ContentLength, r.Body = n, io.NopCloser(io.LimitReader(r.Body, n))
		}
		h.Serve(w, r)
	}
}

// without lets the server handle the request without a header field or trailer.
func without(name string) tustest.Action {
	return func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		r.Header.Del(name)
		delete(r.Trailer, name)
		h.Serve(w, r)
	}
}

// withoutTrailer handles a request without its trailer, as behind a proxy.
func withoutTrailer(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
	r.Trailer = nil
	h.Serve(w, r)
}

// allExcept returns --capabilities with all extensions of tustest but one.
func allExcept(extension string) string {
	all := []string{"creation", "creation-with-upload", "creation-defer-length", "expiration",
		"checksum:sha256", "checksum:sha1", "checksum:sha512", "checksum:md5", "checksum:crc32", "checksum-trailer", "termination", "concatenation"}
	return "--capabilities " + strings.Join(slices.DeleteFunc(all, func(e string) bool { return e == extension }), ",")
}

func TestFaults_AreReportedWithFlags(t *testing.T) {
	t.Parallel()
	tusHeader := []string{"Tus-Resumable", "1.0.0"}
	for name, test := range map[string]struct {
		faults  []tustest.Fault
		checks  outcomes
		check   string // whose text contains text
		text    string
		resumes bool
		flags   string
	}{
		"checksum only advertised": {
			[]tustest.Fault{always("PATCH", without("Upload-Checksum"))},
			outcomes{"checksum": doctor.Warning, "checksum-trailer": doctor.Warning}, "checksum", "not verified", true, "--checksum off",
		},
		"checksum refused": {
			[]tustest.Fault{always("PATCH", onHeader("Upload-Checksum", tustest.Respond(400, "no checksums here", tusHeader...)))},
			outcomes{"checksum": doctor.No, "checksum-trailer": doctor.Unknown}, "checksum", "no checksums here", true, "--checksum off",
		},
		"trailers removed": {
			[]tustest.Fault{always("PATCH", withoutTrailer)},
			outcomes{"checksum": doctor.OK, "checksum-trailer": doctor.Warning}, "checksum-trailer", "pass trailers", true, allExcept("checksum-trailer"),
		},
		"OPTIONS by a proxy": {
			[]tustest.Fault{always("OPTIONS", tustest.Respond(204, "", "Access-Control-Allow-Origin", "*"))},
			outcomes{"options": doctor.Warning, "extensions": doctor.Unknown, "checksum": doctor.OK}, "options", "204", true,
			"--capabilities creation,creation-with-upload,creation-defer-length,checksum:sha256,termination,concatenation",
		},
		"OPTIONS with login": {
			[]tustest.Fault{always("OPTIONS", tustest.Respond(401, "who?"))},
			outcomes{"options": doctor.Warning, "authentication": doctor.Warning}, "options", "401", true,
			"--capabilities creation,creation-with-upload,creation-defer-length,checksum:sha256,termination,concatenation",
		},
		"creation refused": {
			[]tustest.Fault{always("POST", tustest.Respond(403, "only\x1b[31m videos", tusHeader...))},
			outcomes{"creation": doctor.No, "patch": doctor.Unknown}, "creation", `403 Forbidden, "only[31m videos"`, false, "",
		},
		"no Location": {
			[]tustest.Fault{always("POST", tustest.SetHeader("Location", ""))},
			outcomes{"creation": doctor.No}, "creation", "201 without a valid Location", false, "",
		},
		"PATCH blocked": {
			[]tustest.Fault{always("PATCH", tustest.Respond(501, "<html><title>Firewall</title>", "Content-Type", "text/html"))},
			outcomes{"patch": doctor.No, "resume": doctor.Unknown}, "patch", "Firewall", false, "",
		},
		"PATCH cut": {
			[]tustest.Fault{always("PATCH", tustest.CutBefore())},
			outcomes{"patch": doctor.No}, "patch", "PATCH fails", false, "",
		},
		"no offset in the response": {
			[]tustest.Fault{always("PATCH", tustest.SetHeader("Upload-Offset", ""))},
			outcomes{"patch": doctor.No}, "patch", "no Upload-Offset", false, "",
		},
		"HEAD without offset": {
			[]tustest.Fault{always("HEAD", tustest.SetHeader("Upload-Offset", ""))},
			outcomes{"resume": doctor.No}, "resume", "HEAD has no Upload-Offset", false, "",
		},
		"HEAD blocked": {
			[]tustest.Fault{always("HEAD", tustest.Respond(405, ""))},
			outcomes{"resume": doctor.No}, "resume", "405", false, "",
		},
		"interruption deletes the upload": {
			[]tustest.Fault{{Method: "HEAD", Times: -1, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				h.Forget(r.URL.Path)
				h.Serve(w, r)
			}}},
			outcomes{"resume": doctor.No}, "resume", "gone", false, "",
		},
		"acknowledged bytes lost": {
			[]tustest.Fault{{Method: "HEAD", Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				h.Truncate(r.URL.Path, 1000)
				h.Serve(w, r)
			}}, {Method: "HEAD", Times: 3, Action: func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) { h.Serve(w, r) }}},
			outcomes{"resume": doctor.Warning}, "resume", "back to 1000", true, "",
		},
		"interrupted bytes dropped": {
			[]tustest.Fault{{Method: "PATCH", From: 1, Action: func(w http.ResponseWriter, r *http.Request, _ *tustest.Handler) {
				io.Copy(io.Discard, r.Body)
			}}},
			outcomes{"resume": doctor.OK, "buffering": doctor.Warning}, "buffering", "buffers", true, "",
		},
		"lock after the interruption": {
			[]tustest.Fault{{Method: "HEAD", Times: 2, Action: tustest.Respond(423, "locked", tusHeader...)}},
			outcomes{"resume": doctor.OK, "buffering": doctor.OK}, "resume", "cut after 448 KiB, resumed at", true, "",
		},
		"finished upload forgotten": {
			[]tustest.Fault{always("HEAD", onFinished(tustest.Respond(404, "gone", tusHeader...)))},
			outcomes{"resume": doctor.OK, "finished": doctor.Warning}, "finished", "404", true, "",
		},
		"finished upload is not complete": {
			[]tustest.Fault{always("HEAD", onFinished(tustest.SetHeader("Upload-Offset", "1000")))},
			outcomes{"resume": doctor.OK, "finished": doctor.No}, "finished", "offset 1000 of 524288", false, "",
		},
		"part of each PATCH stored": {
			[]tustest.Fault{always("PATCH", storing(100<<10))},
			outcomes{"patch": doctor.Warning, "resume": doctor.OK, "finished": doctor.OK}, "patch", "stored 102400 of 262144 bytes", true, "",
		},
		"bytes acknowledged that were not sent": {
			[]tustest.Fault{always("HEAD", func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				if u, ok := h.Upload(r.URL.Path); ok && len(u.Data) > 256<<10 && !u.Complete() {
					tustest.SetHeader("Upload-Offset", fmt.Sprint(u.Length))(w, r, h)
					return
				}
				h.Serve(w, r)
			})},
			outcomes{"resume": doctor.No}, "resume", "offset 524288, but only 458752 bytes were sent", false, "",
		},
		"creation with bytes refused": {
			[]tustest.Fault{always("POST", onHeader("Content-Type", tustest.Respond(415, "no bytes", tusHeader...)))},
			outcomes{"creation-with-upload": doctor.No}, "creation-with-upload", "no bytes", true,
			allExcept("creation-with-upload"),
		},
		"deferred length refused": {
			[]tustest.Fault{always("POST", onHeader("Upload-Defer-Length", tustest.Respond(400, "no length", tusHeader...)))},
			outcomes{"deferred-length": doctor.No}, "deferred-length", "--buffer-limit", true,
			allExcept("creation-defer-length"),
		},
		"final upload refused": {
			[]tustest.Fault{always("POST", func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				if strings.HasPrefix(r.Header.Get("Upload-Concat"), "final") {
					tustest.Respond(500, "disk", tusHeader...)(w, r, h)
					return
				}
				h.Serve(w, r)
			})},
			outcomes{"concatenation": doctor.No}, "concatenation", "the creation of the final upload is refused: 500", true,
			allExcept("concatenation"),
		},
		"redirect": {
			[]tustest.Fault{{Method: "OPTIONS", Action: tustest.Respond(308, "", "Location", "/files/")}},
			outcomes{"connection": doctor.Warning, "options": doctor.OK}, "connection", "redirected (308)", true, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := tustest.NewServer(t, nil)
			srv.Inject(test.faults...)
			report := run(t, doctor.Config{Endpoint: srv.Endpoint()})
			want(t, report, test.checks)
			wantText(t, report, test.check, test.text)
			wantVerdict(t, report, test.resumes, test.flags)
			if len(report.Left) > 0 {
				t.Errorf("left: %v", report.Left)
			}
			for _, u := range srv.Uploads() {
				if !u.Terminated && name != "no Location" { // no response has its URL
					t.Errorf("upload %s is left", u.ID)
				}
			}
		})
	}
}

func TestFaults_HangingServerDoesNotHang(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"OPTIONS", "POST", "PATCH", "HEAD", "DELETE"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			srv := tustest.NewServer(t, nil)
			srv.Inject(always(method, tustest.Stall()))
			start := time.Now()
			report := run(t, doctor.Config{Endpoint: srv.Endpoint(), Timeout: 400 * time.Millisecond})
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			if resumes := method == "DELETE"; report.Resumes != resumes {
				t.Errorf("resumes is %v", report.Resumes)
			}
			if !strings.Contains(fmt.Sprint(report.Findings), "no data moved for 400ms") {
				t.Errorf("findings are %v", report.Findings)
			}
		})
	}
}

func TestFaults_StalledBodyIsCut(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	srv.Inject(always("PATCH", func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
		if r.ContentLength > mib {
			tustest.Stall()(w, r, h)
			return
		}
		h.Serve(w, r)
	}))
	report := run(t, doctor.Config{Endpoint: srv.Endpoint(), Timeout: 800 * time.Millisecond})
	wantVerdict(t, report, true, "--chunk-size 1MiB")
	wantText(t, report, "body-size", "no data moved for 800ms")
}

func TestTermination_PretendedReportsWhatIsLeft(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, nil)
	srv.Inject(always("DELETE", tustest.Respond(204, "", "Tus-Resumable", "1.0.0")))
	report := run(t, doctor.Config{Endpoint: srv.Endpoint()})
	want(t, report, outcomes{"termination": doctor.Warning, "cleanup": doctor.Warning})
	if n := len(srv.Uploads()); len(report.Left) != n {
		t.Errorf("%d uploads are reported as left, the server has %d", len(report.Left), n)
	}
}

func TestTermination_MissingReportsWhatIsLeft(t *testing.T) {
	t.Parallel()
	srv := tustest.NewServer(t, &tustest.Options{Extensions: tustest.Without("termination")})
	report := run(t, doctor.Config{Endpoint: srv.Endpoint()})
	wantVerdict(t, report, true, "")
	want(t, report, outcomes{"termination": doctor.No, "cleanup": doctor.Warning, "body-size": doctor.OK})
	wantText(t, report, "body-size", "a body of 1 MiB is accepted", "would stay on the server")
	all := srv.Uploads()
	if len(report.Left) != len(all) {
		t.Errorf("%d uploads are reported as left, the server has %d", len(report.Left), len(all))
	}
	for _, u := range all {
		i := slices.IndexFunc(report.Left, func(l doctor.Left) bool { return strings.HasSuffix(l.URL, "/"+u.ID) })
		if i < 0 || report.Left[i].Bytes != int64(len(u.Data)) {
			t.Errorf("upload %s with %d bytes: %v", u.ID, len(u.Data), report.Left)
		}
	}
	wantText(t, report, "cleanup", fmt.Sprintf("left on the server: %d", len(all)), report.Left[0].URL, "tusup-doctor")
}

func TestLocation_MisconfiguredProxyIsReported(t *testing.T) {
	t.Parallel()
	other := tustest.NewServer(t, nil)
	guarded := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Errorf("%s has credentials", r.Method)
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer guarded.Close()
	for name, test := range map[string]struct {
		location func(own string) string // for the path of the upload
		texts    []string
		flags    string
	}{
		"http":        {func(own string) string { return strings.Replace(own, "https:", "http:", 1) }, []string{"from https to http", "X-Forwarded-Proto"}, ""},
		"other host":  {func(string) string { return other.Endpoint() + "1" }, []string{"from https to http"}, ""},
		"unreachable": {func(string) string { return "https://backend.invalid" }, []string{"backend.invalid", "not reachable", "the upload is at https://127.0.0.1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := tustest.NewHandler(nil)
			url, client, _ := startTLS(t, h, false)
			h.Inject(always("POST", func(w http.ResponseWriter, r *http.Request, h *tustest.Handler) {
				recorder := httptest.NewRecorder()
				h.Serve(recorder, r)
				tustest.Respond(201, "", "Tus-Resumable", "1.0.0", "Location", test.location(url)+recorder.Header().Get("Location"))(w, r, h)
			}))
			report := run(t, doctor.Config{Endpoint: url + "/files/", Client: client})
			wantVerdict(t, report, false, test.flags)
			want(t, report, outcomes{"location": doctor.No, "patch": doctor.Unknown})
			wantText(t, report, "location", test.texts...)
			if name != "other host" {
				wantDeleted(t, h, report)
			}
		})
	}
	t.Run("credentials", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		srv.Inject(always("POST", tustest.SetHeader("Location", guarded.URL+"/files/1")))
		report := run(t, doctor.Config{Endpoint: srv.Endpoint(), Header: http.Header{"Authorization": {"Bearer token-of-user"}}})
		wantVerdict(t, report, false, "--trusted-origin "+guarded.URL)
		wantText(t, report, "location", "requires credentials (401)", "--trusted-origin")
	})
}

func TestCredentials_AreSentAndRedacted(t *testing.T) {
	t.Parallel()
	const token = "token-of-user"
	h := tustest.NewHandler(nil)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") == "Bearer "+token:
			if r.Method == http.MethodDelete {
				http.Error(w, "no DELETE for "+token, http.StatusForbidden)
				return
			}
			h.ServeHTTP(w, r)
		default:
			http.Error(w, "who?", http.StatusUnauthorized)
		}
	}))
	defer srv.Close()
	report := run(t, doctor.Config{Endpoint: srv.URL + "/files/?key=" + token, Header: http.Header{"Authorization": {"Bearer " + token}}})
	wantVerdict(t, report, true, "")
	want(t, report, outcomes{"authentication": doctor.Warning, "termination": doctor.No, "cleanup": doctor.Warning})
	wantText(t, report, "authentication", "OPTIONS requires credentials (401)")
	text, err := json.Marshal(report)
	if err != nil || strings.Contains(string(text), token) {
		t.Errorf("%v: %s", err, text)
	}
	wantText(t, report, "termination", "no DELETE for [redacted]")
	none := run(t, doctor.Config{Endpoint: srv.URL + "/files/", LoginAdvice: "log in"})
	wantVerdict(t, none, false, "")
	wantText(t, none, "creation", "401", "log in")
}

func TestCredentials_StayAtTrustedOrigins(t *testing.T) {
	t.Parallel()
	other := tustest.NewHandler(nil)
	srv := httptest.NewServer(other)
	defer srv.Close()
	for name, trusted := range map[string][]string{"untrusted": nil, "trusted": {srv.URL}} {
		t.Run(name, func(t *testing.T) {
			home := tustest.NewServer(t, nil)
			home.Inject(always("", tustest.Action(func(w http.ResponseWriter, r *http.Request, _ *tustest.Handler) {
				http.Redirect(w, r, srv.URL+r.URL.Path, http.StatusPermanentRedirect)
			})))
			before := len(other.Requests())
			report := run(t, doctor.Config{Endpoint: home.Endpoint(), Header: http.Header{"X-Token": {"token-of-user"}}, TrustedOrigins: trusted})
			if !report.Resumes {
				t.Errorf("resumes is %v: %s", report.Resumes, report.Reason)
			}
			requests := other.Requests()[before:]
			for _, r := range requests {
				if sent := r.Header.Get("X-Token") != ""; sent && trusted == nil {
					t.Errorf("%s %s: credentials sent: %v", r.Method, r.Path, sent)
				}
			}
			if len(requests) < 10 {
				t.Errorf("the other server has %d requests", len(requests))
			}
		})
	}
}
