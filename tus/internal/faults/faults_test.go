package faults_test

import (
	"sync"
	"testing"

	"github.com/seed-175555ba/tus-go/tus/internal/faults"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestActions(t *testing.T) {
	for name, test := range map[string]struct {
		action tustest.Action
		status int
		offset string // Upload-Offset of the response
		text   string
		stored string
	}{
		"RespondAfter":       {faults.RespondAfter(503, "tired"), 503, "", "tired", ""},
		"SetStatus":          {faults.SetStatus(500), 500, "5", "", "hello"},
		"AcceptOnly":         {faults.AcceptOnly(3), 204, "3", "", "hel"},
		"AcceptOnly nothing": {faults.AcceptOnly(0), 204, "0", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			upload := create(t, srv)
			srv.Inject(tustest.Fault{Method: "PATCH", Action: test.action})
			status, header, text := do(t, "PATCH", srv.HTTP.URL+upload, "hello", "Upload-Offset", "0")
			if status != test.status || header.Get("Upload-Offset") != test.offset || text != test.text {
				t.Errorf("response is %d %q with Upload-Offset %q", status, text, header.Get("Upload-Offset"))
			}
			wantContent(t, srv, upload, test.stored)
		})
	}
}

func TestStallAfter_EndsWithServer(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv)
	srv.Inject(tustest.Fault{Method: "PATCH", Action: faults.StallAfter(3)})
	var client sync.WaitGroup
	client.Go(func() {
		if status, _, _ := do(t, "PATCH", srv.HTTP.URL+upload, "hello", "Upload-Offset", "0"); status != 0 {
			t.Errorf("status is %d", status)
		}
	})
	for stored := 0; stored < 3; {
		up, _ := srv.Upload(upload)
		stored = len(up.Data)
	}
	srv.Close()
	client.Wait()
	wantContent(t, srv, upload, "hel")
}

func TestAppend_ContinuesUpload(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	upload := create(t, srv)
	faults.Append(srv.Handler, upload, []byte("hello"))
	faults.Append(srv.Handler, upload, []byte("world"))
	wantContent(t, srv, upload, "helloworld")
	defer func() {
		if recover() == nil {
			t.Error("no panic beyond the length")
		}
	}()
	faults.Append(srv.Handler, upload, []byte("!"))
}
