package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
)

func fullRecord() storage.Record {
	created := time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.UTC)
	return storage.Record{
		ID: "0123456789abcdef0123456789abcdef", Revision: 7, Fingerprint: "sample-v1:\"1\"",
		Endpoint: "https://example.org/files/?a=1&b=2", UploadURL: "https://example.org/files/<1>",
		Size: 1<<63 - 1,
		Parts: []storage.Part{
			{Offset: 0, Size: 1 << 20, UploadURL: "https://example.org/files/2"},
			{Offset: 1 << 20, Size: 1<<63 - 1 - 1<<20},
		},
		Finishing: true, Refusal: "500 Internal Server Error", Seal: "0f1e",
		Metadata:       map[string]string{"filename": "ünï.bin", "empty": "", "raw": "\xff\x00"},
		CreationHeader: map[string][]string{"Stream-Media-Id": {"dd5d531a"}, "X-Parts": {"1", "ü"}},
		Created:        created, Updated: created.Add(time.Minute), Expires: created.Add(24 * time.Hour),
		Lease: &storage.Lease{Holder: "h", Process: "p", Until: created.Add(time.Hour)},
	}
}

func completedRecord() storage.Record {
	completed := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	return storage.Record{ID: "c", Revision: 3, Fingerprint: "f", UploadURL: "https://example.org/files/1", Size: 5,
		Completed: completed, Expires: completed.Add(time.Hour)}
}

func digestRecord() storage.Record {
	return storage.Record{ID: "d", Revision: 2, Fingerprint: "f", UploadURL: "https://example.org/files/1", Size: 1000,
		Digest: &storage.Digest{Algorithm: "sha256", Offset: 700, State: []byte("sha\x03\xff"), Source: "0f1e"}}
}

func deferredRecord() storage.Record {
	return storage.Record{ID: "b", Revision: 1, Fingerprint: "\xff binary", LengthDeferred: true}
}

// Later releases must read what earlier ones wrote: never change a golden file of a
// released version.
func TestEncode_MatchesGoldenFiles(t *testing.T) {
	for name, rec := range map[string]storage.Record{"full": fullRecord(), "deferred": deferredRecord(), "completed": completedRecord(), "digest": digestRecord()} {
		path := filepath.Join("testdata", "record-v1-"+name+".json")
		data, err := storage.Encode(rec)
		if err != nil {
			t.Fatal(err)
		}
		golden, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, golden) {
			t.Errorf("%s: encoded as\n%s, not\n%s", path, data, golden)
		}
		got, err := storage.Decode(golden)
		if err != nil || !reflect.DeepEqual(got, rec) {
			t.Errorf("%s: decoded as %+v, %v", path, got, err)
		}
	}
}

// encodeFrame adds the version and checksum to a record, as Encode does, without validating it.
func encodeFrame(version int, record string) []byte {
	sum := crc32.Checksum(fmt.Appendf(nil, "%d\n%s", version, record), crc32.MakeTable(crc32.Castagnoli))
	return fmt.Appendf(nil, `{"version":%d,"crc32c":"%08x","record":%s}`+"\n", version, sum, record)
}

func TestDecode_UnknownFieldsAreIgnored(t *testing.T) {
	rec, err := storage.Decode(encodeFrame(1, `{"id":"a","revision":1,"fingerprint":"f","size":0,"color":{"of":["the","sky"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := (storage.Record{ID: "a", Revision: 1, Fingerprint: "f"}); !reflect.DeepEqual(rec, want) {
		t.Errorf("decoded %+v, want %+v", rec, want)
	}
}

func TestDecode_InvalidRecordIsCorrupt(t *testing.T) {
	const base = `"id":"a","revision":1,"fingerprint":"f","size":9`
	for _, record := range []string{
		`null`, `[]`, `1`, `{}`, `{` + base,
		`{"id":"A/B","revision":1,"fingerprint":"f","size":9}`,
		`{"id":"a","revision":0,"fingerprint":"f","size":9}`,
		`{"id":"a","revision":-1,"fingerprint":"f","size":9}`,
		`{"id":"a","revision":9223372036854775808,"fingerprint":"f","size":9}`,
		`{"id":"a","revision":1,"fingerprint":"","size":9}`,
		`{"id":"a","revision":1,"fingerprint":"f","size":-1}`,
		`{"id":"a","revision":1,"fingerprint":"f","size":"9"}`,
		`{"id":"a","revision":1,"fingerprint":"f","size":9.5}`,
		`{"id":"a","revision":1,"fingerprint":"f","size":1e99}`,
		`{` + base + `,"fingerprint_base64":"*"}`,
		`{` + base + `,"upload_url":7}`,
		`{` + base + `,"parts":{}}`,
		`{` + base + `,"parts":[{"offset":5,"size":5}]}`,
		`{` + base + `,"parts":[{"offset":4,"size":4},{"offset":0,"size":4}]}`,
		`{` + base + `,"finishing":"yes"}`,
		`{` + base + `,"metadata":["a"]}`,
		`{` + base + `,"creation_header":{"X-Id":"1"}}`,
		`{` + base + `,"creation_header":{"x-id":["1"]}}`,
		`{` + base + `,"creation_header":{"X-Id":["1\r\n2"]}}`,
		`{` + base + `,"updated":"yesterday"}`,
		`{` + base + `,"updated":1700000000}`,
		`{` + base + `,"completed":true}`,
		`{` + base + `,"expires":"99999-01-01T00:00:00Z"}`,
		`{` + base + `,"lease":"mine"}`,
	} {
		if rec, err := storage.Decode(encodeFrame(1, record)); !errors.Is(err, storage.ErrCorrupt) || errors.Is(err, storage.ErrInvalidRecord) {
			t.Errorf("Decode(%s) = %+v, %v, want ErrCorrupt", record, rec, err)
		}
	}
	for _, data := range []string{
		"", "\n", "\x00\x00\x00\x00", "{}", "null", "7", string(encodeFrame(0, `{`+base+`}`)), string(encodeFrame(-1, `{`+base+`}`)),
		string(encodeFrame(1, `{`+base+`}`)) + "{}", `{"version":1,"crc32c":"` + strings.Repeat("0", 1000) + `","record":{}}`,
	} {
		if rec, err := storage.Decode([]byte(data)); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("Decode(%q) = %+v, %v, want ErrCorrupt", data, rec, err)
		}
	}
}

func TestDecode_NewerVersionIsNotCorrupt(t *testing.T) {
	if _, err := storage.Decode(encodeFrame(2, `["quite","different"]`)); !errors.Is(err, storage.ErrNewerVersion) {
		t.Errorf("newer version: %v, want ErrNewerVersion", err)
	}
	data := bytes.Replace(encodeFrame(1, `{"id":"a"}`), []byte(`"version":1`), []byte(`"version":2`), 1)
	if _, err := storage.Decode(data); !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("version changed: %v, want ErrCorrupt", err)
	}
}

// A flipped bit is detected, or does not change the record.
func TestDecode_FlippedBitIsCorrupt(t *testing.T) {
	want := fullRecord()
	data, err := storage.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		for bit := range 8 {
			data[i] ^= 1 << bit
			rec, err := storage.Decode(data)
			data[i] ^= 1 << bit
			if err == nil && reflect.DeepEqual(rec, want) || errors.Is(err, storage.ErrCorrupt) {
				continue
			}
			t.Errorf("bit %d of byte %d: %+v, %v", bit, i, rec, err)
		}
	}
	for n := range len(data) - 1 { // the last byte is an optional newline
		if _, err := storage.Decode(data[:n]); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("cut to %d bytes: %v, want ErrCorrupt", n, err)
		}
	}
}

func TestEncode_RevisionZeroIsInvalid(t *testing.T) {
	rec := fullRecord()
	rec.Revision = 0
	if _, err := storage.Encode(rec); !errors.Is(err, storage.ErrInvalidRecord) {
		t.Errorf("error %v, want ErrInvalidRecord", err)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for _, rec := range []storage.Record{fullRecord(), deferredRecord(), completedRecord(), digestRecord()} {
		data, err := storage.Encode(rec)
		if err != nil {
			f.Fatal(err)
		}
		record := bytes.TrimSuffix(data[bytes.Index(data, []byte(`"record":`))+len(`"record":`):], []byte("}\n"))
		f.Add(1, record)
	}
	f.Add(2, []byte(`{}`))
	f.Add(1, []byte(`{"id":"a","revision":1,"fingerprint_base64":"/w==","metadata":{"a":"b"},"metadata_base64":{"a":"/w=="}}`))
	// encodeFrame computes the checksum, so the fuzzer reaches the decoder.
	f.Fuzz(func(t *testing.T, version int, record []byte) {
		if _, err := storage.Decode(record); err == nil {
			t.Logf("%q is a framed record", record)
		}
		rec, err := storage.Decode(encodeFrame(version, string(record)))
		if err != nil {
			if !errors.Is(err, storage.ErrCorrupt) && !errors.Is(err, storage.ErrNewerVersion) {
				t.Errorf("error %v is neither ErrCorrupt nor ErrNewerVersion", err)
			}
			return
		}
		if err := rec.Validate(); err != nil {
			t.Errorf("decoded an invalid record: %v", err)
		}
		data, err := storage.Encode(rec)
		if err != nil {
			t.Fatalf("a decoded record cannot be encoded: %v", err)
		}
		again, err := storage.Decode(data)
		if err != nil || !reflect.DeepEqual(again, rec) {
			t.Errorf("round trip of %+v: %+v, %v", rec, again, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	data, err := storage.Encode(fullRecord())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := storage.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}
