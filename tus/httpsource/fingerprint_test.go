package httpsource_test

import (
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// A strong validator identifies the data: the client reads nothing of it for the resume key.
func TestFingerprint_StrongValidatorNeedsNoRequests(t *testing.T) {
	const upload = 3 // the probe, the data, the check
	for name, test := range map[string]struct {
		etag     string
		modified time.Time
		print    fingerprint.Fingerprinter // of the client
		own      fingerprint.Fingerprinter // of the upload
		want     int
	}{
		"ETag":                    {etag: `"v1"`, want: upload},
		"ETag and Last-Modified":  {etag: `"v1"`, modified: longAgo, want: upload},
		"Last-Modified":           {modified: longAgo, want: upload},
		"sample of the client":    {etag: `"v1"`, print: fingerprint.Sample{}, want: upload + 65},
		"sample of the upload":    {etag: `"v1"`, own: fingerprint.Sample{}, want: upload + 65},
		"validator of the upload": {etag: `"v1"`, print: fingerprint.Sample{}, own: fingerprint.Stat{}, want: upload},
	} {
		t.Run(name, func(t *testing.T) {
			data := randomBytes(3_000_000)
			served := newSite(data)
			served.etag, served.modified = test.etag, test.modified
			srv := tustest.NewServer(t, nil)
			client := newClient(t, srv, &tus.Options{Store: new(storage.Memory), Fingerprinter: test.print})
			result, err := client.Upload(testContext(t), newSource(t, served.start(t), nil),
				&tus.UploadOptions{CreationLimit: -1, Checksum: "off", Fingerprinter: test.own})
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv, result.URL, data)
			if n := len(served.requests()); n != test.want {
				t.Errorf("%d requests to the source, want %d", n, test.want)
			}
		})
	}
}

// Replicas of a server may have other times for one ETag.
func TestFingerprint_StrongETagOutweighsTime(t *testing.T) {
	for name, test := range map[string]struct {
		etag string // of the second session
		size int
		from int64
	}{
		"same ETag":    {`"v1"`, 1_000_000, 500_000},
		"another ETag": {`"v2"`, 1_000_000, 0},
		"another size": {`"v1"`, 1_000_001, 0},
	} {
		t.Run(name, func(t *testing.T) {
			served := newSite(randomBytes(1_000_000))
			served.modified = longAgo
			url := served.start(t)
			first, second := newSource(t, url, nil), newSource(t, url, nil)
			srv, store := tustest.NewServer(t, nil), new(storage.Memory)
			client := newClient(t, srv, &tus.Options{Store: store})
			opts := &tus.UploadOptions{ChunkSize: 500_000, StopAt: 500_000, Checksum: "off"}
			_, err := client.Upload(testContext(t), first, opts)
			wantError(t, err, tus.ErrPaused)
			served.mu.Lock()
			served.data, served.etag, served.modified = randomBytes(test.size), test.etag, longAgo.Add(time.Hour)
			served.mu.Unlock()
			opts.StopAt = 0
			result, err := client.Upload(testContext(t), second, opts)
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv, result.URL, randomBytes(test.size))
			if result.Stats.ResumedFrom != test.from {
				t.Errorf("resumed from %d, want %d", result.Stats.ResumedFrom, test.from)
			}
		})
	}
}
