package doctor_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/seed-175555ba/tus-go/examples/hosted/strict"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/doctor"
)

func TestHosted_ChunkRulesAreFound(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rules  strict.Rules
		config doctor.Config
		flags  string
	}{
		"exact size": {
			strict.Rules{Chunk: strict.Exactly(6 * mib)}, doctor.Config{}, "--chunk-size 6MiB",
		},
		"multiples": {
			strict.Rules{Chunk: strict.CloudflareStream().Chunk},
			doctor.Config{}, "--chunk-size 5MiB",
		},
		"unusual size": {
			strict.Rules{Chunk: strict.Exactly(3 * mib)}, doctor.Config{ChunkSize: 3 * mib}, "--chunk-size 3MiB",
		},
		"small chunks": {
			strict.Rules{BodyLimit: 40_000}, doctor.Config{ChunkSize: 32 << 10}, "--chunk-size 32KiB",
		},
		"limited body": {
			strict.Rules{BodyLimit: 2_500_000}, doctor.Config{}, "--chunk-size 2MiB",
		},
		"tiny body": {
			strict.Rules{BodyLimit: 100_000}, doctor.Config{}, "--chunk-size 64KiB",
		},
		"metadata": {
			strict.Rules{Metadata: []string{"bucketName", "filename"}},
			doctor.Config{Metadata: map[string]string{"bucketName": "films"}}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := strict.NewServer(t, test.rules)
			test.config.Endpoint = srv.Endpoint()
			report := run(t, test.config)
			wantVerdict(t, report, true, test.flags)
			wantDeleted(t, srv.Handler, report)
		})
	}
}

func TestHosted_RefusalIsShown(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rules strict.Rules
		check string
		texts []string
	}{
		"metadata":    {strict.Rules{Metadata: []string{"bucketName"}}, "creation", []string{"metadata bucketName is missing", "--metadata"}},
		"no creation": {strict.Rules{NoCreation: true}, "creation", []string{"only the backend creates uploads"}},
		"login":       {strict.Rules{Authorize: func(*http.Request) error { return errors.New("no token") }}, "creation", []string{"no token", "TUS_TOKEN"}},
		"chunk size":  {strict.Rules{Chunk: strict.Exactly(3 * mib)}, "patch", []string{"not 3145728", "--chunk-size SIZE"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := strict.NewServer(t, test.rules)
			report := run(t, doctor.Config{Endpoint: srv.Endpoint()})
			wantVerdict(t, report, false, "")
			want(t, report, outcomes{test.check: doctor.No, "resume": doctor.Unknown})
			wantText(t, report, test.check, test.texts...)
			for _, u := range srv.Uploads() {
				if !u.Terminated {
					t.Errorf("upload %s is left", u.ID)
				}
			}
		})
	}
}
