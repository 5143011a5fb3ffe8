package tus_test

import (
	"context"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
)

// FuzzToken resumes tokens that anyone may have made. Nothing can be sent: the context
// has ended.
func FuzzToken(f *testing.F) {
	seed := func(rec storage.Record) []byte {
		rec.ID, rec.Revision, rec.Fingerprint = "token", 1, "none"
		data, err := storage.Encode(rec)
		if err != nil {
			f.Fatal(err)
		}
		return data
	}
	f.Add(seed(storage.Record{Size: 3, UploadURL: "http://localhost/files/1"}))
	f.Add(seed(storage.Record{Size: 3, Parts: []storage.Part{{Size: 1, UploadURL: "http://localhost/1"}, {Offset: 1, Size: 2}}}))
	client, err := tus.NewClient("http://localhost/files/", nil)
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f.Fuzz(func(t *testing.T, record []byte) {
		for _, token := range []string{string(record), "tus1." + string(record), "tus1." + deflated(record)} {
			if token == "" {
				continue
			}
			if _, err := client.Upload(ctx, tus.Bytes([]byte("abc")), &tus.UploadOptions{Token: token}); err == nil {
				t.Errorf("token %q was accepted", token)
			}
		}
	})
}
