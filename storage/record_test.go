package storage_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

func TestValidate_PartsMustFitSize(t *testing.T) {
	const most = math.MaxInt64
	for _, test := range []struct {
		size     int64
		deferred bool
		parts    []storage.Part
		ok       bool
	}{
		{size: 0, ok: true},
		{size: -1},
		{size: -1, deferred: true, ok: true}, // Size has no meaning
		{size: 10, parts: []storage.Part{{Offset: 0, Size: 10}}, ok: true},
		{size: 10, parts: []storage.Part{{Offset: 0, Size: 11}}},
		{size: 10, parts: []storage.Part{{Offset: 11, Size: 0}}},
		{size: 10, parts: []storage.Part{{Offset: 2, Size: 3}, {Offset: 7, Size: 3}}, ok: true}, // other parts not created
		{size: 10, parts: []storage.Part{{Offset: 0, Size: 5}, {Offset: 4, Size: 5}}},
		{size: 10, parts: []storage.Part{{Offset: 5, Size: 5}, {Offset: 0, Size: 5}}},
		{size: 10, parts: []storage.Part{{Offset: -5, Size: 5}}},
		{size: 10, parts: []storage.Part{{Offset: 5, Size: -5}}},
		{size: most, parts: []storage.Part{{Offset: most - 1, Size: 1}}, ok: true},
		{size: most, parts: []storage.Part{{Offset: most - 1, Size: 2}}},
		{size: most, parts: []storage.Part{{Offset: most, Size: most}}},
		{deferred: true, parts: []storage.Part{{Offset: 5, Size: 5}}, ok: true},
		{deferred: true, parts: []storage.Part{{Offset: 5, Size: most}}},
		{size: most, parts: make([]storage.Part, 100_000), ok: true},
		{size: most, parts: make([]storage.Part, 100_001)},
	} {
		rec := storage.Record{ID: "a", Fingerprint: "f", Size: test.size, LengthDeferred: test.deferred, Parts: test.parts}
		err := rec.Validate()
		if test.ok && err != nil || !test.ok && !errors.Is(err, storage.ErrInvalidRecord) {
			t.Errorf("size %d, deferred %v, %d parts %v: %v", test.size, test.deferred, len(test.parts),
				test.parts[:min(3, len(test.parts))], err)
		}
	}
}

func TestValidate_DigestMustFitRecord(t *testing.T) {
	sha256 := func(offset int64) *storage.Digest { return &storage.Digest{Algorithm: "sha256", Offset: offset} }
	for name, test := range map[string]struct {
		rec storage.Record
		ok  bool
	}{
		"of all bytes":      {storage.Record{Size: 10, Digest: sha256(10)}, true},
		"beyond the end":    {storage.Record{Size: 10, Digest: sha256(11)}, false},
		"deferred length":   {storage.Record{LengthDeferred: true, Digest: sha256(11)}, true},
		"negative offset":   {storage.Record{Size: 10, Digest: sha256(-1)}, false},
		"without algorithm": {storage.Record{Size: 10, Digest: &storage.Digest{}}, false},
		"too large":         {storage.Record{Digest: &storage.Digest{Algorithm: "sha256", State: make([]byte, 4<<10), Sum: make([]byte, 1)}}, false},
		"source not UTF-8":  {storage.Record{Digest: &storage.Digest{Algorithm: "sha256", Source: "\xff"}}, false},
	} {
		test.rec.ID, test.rec.Fingerprint = "a", "f"
		if err := test.rec.Validate(); test.ok && err != nil || !test.ok && !errors.Is(err, storage.ErrInvalidRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidate_TextIsLimited(t *testing.T) {
	rec := storage.Record{ID: "a", Fingerprint: "f", Metadata: map[string]string{"a": strings.Repeat("\x00", 4<<20-2)}}
	if err := rec.Validate(); err != nil {
		t.Error(err)
	}
	rec.Revision = 1
	data, err := storage.Encode(rec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Decode(data); err != nil {
		t.Errorf("the largest record cannot be decoded: %v", err)
	}
	rec.Fingerprint = "ff"
	if err := rec.Validate(); !errors.Is(err, storage.ErrInvalidRecord) {
		t.Errorf("too much text: %v, want ErrInvalidRecord", err)
	}
	for name, invalidate := range map[string]func(*storage.Record){
		"endpoint":      func(r *storage.Record) { r.Endpoint = "\xff" },
		"URL of a part": func(r *storage.Record) { r.Parts[1].UploadURL = "\xff" },
		"metadata key":  func(r *storage.Record) { r.Metadata["\xff"] = "" },
		"lease holder":  func(r *storage.Record) { r.Lease.Holder = "\xff" },
		"lease process": func(r *storage.Record) { r.Lease.Process = "\xff" },
	} {
		rec := fullRecord()
		invalidate(&rec)
		if err := rec.Validate(); !errors.Is(err, storage.ErrInvalidRecord) {
			t.Errorf("%s that is not UTF-8: %v, want ErrInvalidRecord", name, err)
		}
	}
}

func TestValidate_CreationHeaderMustBeValid(t *testing.T) {
	for name, test := range map[string]struct {
		header map[string][]string
		ok     bool
	}{
		"some":            {map[string][]string{"X-Id": {"1", "", "a\tü"}, "Stream-Media-Id": {"2"}}, true},
		"no values":       {map[string][]string{"X-Id": nil}, true},
		"64 KiB":          {map[string][]string{"X": {strings.Repeat("x", 64<<10-1)}}, true},
		"more":            {map[string][]string{"X": {strings.Repeat("x", 64<<10)}}, false},
		"many of no text": {map[string][]string{"X": make([]string, 64<<10+1)}, false},
		"no name":         {map[string][]string{"": {"1"}}, false},
		"not canonical":   {map[string][]string{"x-id": {"1"}}, false},
		"space in name":   {map[string][]string{"X Id": {"1"}}, false},
		"name not ASCII":  {map[string][]string{"X-Ü": {"1"}}, false},
		"line break":      {map[string][]string{"X-Id": {"1\r\nX-More: 2"}}, false},
		"not UTF-8":       {map[string][]string{"X-Id": {"\xff"}}, false},
	} {
		rec := storage.Record{ID: "a", Revision: 1, Fingerprint: "f", CreationHeader: test.header}
		err := rec.Validate()
		if test.ok && err != nil || !test.ok && !errors.Is(err, storage.ErrInvalidRecord) {
			t.Errorf("%s: %v", name, err)
		}
		data, err := storage.Encode(rec)
		if !test.ok {
			continue
		}
		if got, decoding := storage.Decode(data); err != nil || decoding != nil || !reflect.DeepEqual(got, rec.Clone()) {
			t.Errorf("%s: %v, decoded as %+v, %v", name, err, got, decoding)
		}
	}
}

// A lease lasts a minute. A lease of years comes from a wrong clock, and must not keep
// a record for years.
func TestDeleteExpired_OverlongLeaseIsIgnored(t *testing.T) {
	now := time.Now()
	for left, expired := range map[time.Duration]bool{
		-time.Nanosecond: true, 0: true, time.Nanosecond: false, time.Minute: false, 2 * time.Minute: false,
		2*time.Minute + 1: true, time.Hour: true, math.MaxInt64: true,
	} {
		for expires, want := range map[time.Duration]bool{-time.Second: expired, time.Second: false} {
			store := new(storage.Memory)
			_, err := store.Put(t.Context(), storage.Record{ID: "a", Fingerprint: "f",
				Expires: now.Add(expires), Lease: &storage.Lease{Until: now.Add(left)}})
			if err != nil {
				t.Fatal(err)
			}
			if n, err := storage.DeleteExpired(t.Context(), store, now); n == 1 != want || err != nil {
				t.Errorf("deleted %d, %v, with %v left until Expires and %v of the lease", n, err, expires, left)
			}
		}
	}
}

// An upload URL may give access to the upload.
func TestValidate_ErrorContainsNoURL(t *testing.T) {
	const url = "https://example.org/files/secret?token=secret\xff"
	for name, rec := range map[string]storage.Record{
		"endpoint":      {ID: "a", Fingerprint: "f", Endpoint: url},
		"upload URL":    {ID: "a", Fingerprint: "f", UploadURL: url},
		"URL of a part": {ID: "a", Fingerprint: "f", Parts: []storage.Part{{UploadURL: url}}},
	} {
		err := rec.Validate()
		if !errors.Is(err, storage.ErrInvalidRecord) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s that is not UTF-8: %v", name, err)
		}
	}
}

func TestValidate_ErrorIsShort(t *testing.T) {
	err := storage.Record{ID: strings.Repeat("/", 1000)}.Validate()
	if !errors.Is(err, storage.ErrInvalidRecord) || len(err.Error()) > 200 {
		t.Errorf("error of %d bytes: %v", len(err.Error()), err)
	}
}

func TestNewID_IsValidAndUnique(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := storage.NewID()
		if err := (storage.Record{ID: id, Fingerprint: "f"}).Validate(); err != nil {
			t.Fatal(err)
		}
		if seen[id] {
			t.Fatalf("NewID returned %s twice", id)
		}
		seen[id] = true
	}
}

func TestMostRecentFirst_IsTotalOrder(t *testing.T) {
	now := time.Now()
	want := []storage.Record{
		{ID: "c", Updated: now.Add(time.Second)},
		{ID: "b", Updated: now, Created: now},
		{ID: "a", Updated: now, Created: now.Add(-time.Second)},
		{ID: "d", Updated: now, Created: now.Add(-time.Second)},
		{ID: "e"},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, storage.MostRecentFirst)
	for i := range want {
		if got[i].ID != want[i].ID {
			t.Fatalf("order is %v", got)
		}
	}
}

func TestError_NamesPathAndRecord(t *testing.T) {
	err := error(&storage.Error{Path: "/state/db", ID: "abc", Err: fmt.Errorf("%w: %w", storage.ErrCorrupt, errDisk)})
	if want := "storage: /state/db: record abc: corrupt: disk failure"; err.Error() != want {
		t.Errorf("error reads %q, want %q", err, want)
	}
	if !errors.Is(err, storage.ErrCorrupt) || !errors.Is(err, errDisk) {
		t.Errorf("error %v does not match ErrCorrupt and its cause", err)
	}
}
