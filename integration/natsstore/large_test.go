package natsstore_test

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/storage"
)

// withParts returns a record with parts, of which some have an upload URL.
func withParts(n, withURL int) storage.Record {
	rec := record("parts")
	for i := range n {
		p := storage.Part{Offset: int64(i) * 1000, Size: 1000}
		if i < withURL {
			p.UploadURL = "https://example.org/files/" + storage.NewID()
		}
		rec.Parts = append(rec.Parts, p)
	}
	return rec
}

// Records of 1 MiB fit into the messages that servers take by default.
func TestPut_LargeRecordIsCompressed(t *testing.T) {
	t.Parallel()
	s := open(t, start(t, options(t.TempDir())).ClientURL(), nil)
	rec := withParts(10_000, 1)
	for _, created := range []int{1, 5_000, 10_000} {
		for i := range created {
			rec.Parts[i].UploadURL = "https://example.org/files/" + storage.NewID()
		}
		rec = put(t, s, rec)
		found, err := s.Find(t.Context(), "parts")
		if err != nil || len(found) != 1 || !reflect.DeepEqual(found[0], rec) {
			t.Fatalf("with %d parts created: %v", created, err)
		}
	}
	if err := s.Delete(t.Context(), rec.ID, rec.Revision); err != nil {
		t.Error(err)
	}
}

// A record that will be too large when all parts are created is refused at the start.
func TestPut_TooLargeIsRefusedBeforeUpload(t *testing.T) {
	t.Parallel()
	s := open(t, start(t, options(t.TempDir())).ClientURL(), nil)
	stored := put(t, s, record("parts"))
	for name, rec := range map[string]storage.Record{
		"no part created":   withParts(60_000, 0),
		"first created":     withParts(60_000, 1),
		"all parts created": withParts(60_000, 60_000),
	} {
		rec.ID, rec.Revision = stored.ID, stored.Revision
		if _, err := s.Put(t.Context(), rec); !errors.Is(err, storage.ErrTooLarge) {
			t.Errorf("%s: %v, want ErrTooLarge", name, err)
		}
	}
	if found, err := s.Find(t.Context(), "parts"); len(found) != 1 || err != nil || found[0].Revision != 1 {
		t.Errorf("found %v, %v", found, err)
	}
}

// A record that cannot be compressed fits up to the limit of the server, and is read.
func TestPut_IncompressibleRecord(t *testing.T) {
	t.Parallel()
	s := open(t, start(t, options(t.TempDir())).ClientURL(), nil)
	text := func(n int) string {
		var b strings.Builder
		for b.Len() < n {
			b.WriteRune(rune(0x4e00 + rand.IntN(0x5000))) // 14 bits in 3 bytes
		}
		return b.String()
	}
	rec := record("parts")
	for _, size := range []int{250_000, 1_000_000, 1_600_000} {
		rec.Metadata = map[string]string{"text": text(size)}
		stored, err := s.Put(t.Context(), rec)
		if size > 1<<20 && errors.Is(err, storage.ErrTooLarge) {
			continue
		}
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		rec = stored
		if found, err := s.Find(t.Context(), "parts"); len(found) != 1 || err != nil || !reflect.DeepEqual(found[0], rec) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
