package fingerprint_test

import (
	"context"
	"errors"
	"io"
	"regexp"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
)

// The hashes were computed with another implementation, xxhsum 0.8.1, from the
// description in the package comment. If this test fails, fingerprints stored by
// earlier releases no longer match: the scheme needs a new version.
func TestFingerprint_MatchesGoldenValues(t *testing.T) {
	for _, test := range []struct {
		name string
		f    fingerprint.Fingerprinter
		info fingerprint.Info
		want string
	}{
		{"sample of empty source", fingerprint.Sample{}, infoOf(0), "sample2-0-765a0b99d3eb55a52c5f05894ed73a52"},
		{"sample without attributes", fingerprint.Sample{}, fingerprint.Info{Size: 1}, "sample2-1-9d437469d3b67828679f66f44de8868e"},
		{"sample before 1970", fingerprint.Sample{}, fingerprint.Info{Size: 1, ModTime: time.Unix(-2, 5)}, "sample2-1-2ca262044db22c5e5b034c39c5b71ac9"},
		{"sample of 1 byte", fingerprint.Sample{}, infoOf(1), "sample2-1-7c392097dea4c5c44757386588c54a43"},
		{"sample at the threshold", fingerprint.Sample{}, infoOf(1 << 20), "sample2-1048576-5aaed61e80ede16f0366152f525514fa"},
		{"sample above the threshold", fingerprint.Sample{}, infoOf(1<<20 + 1), "sample2-1048577-2b9fc7671483f12e43de6c75ae3ca9e1"},
		{"sample of blocks", fingerprint.Sample{}, infoOf(5_000_001), "sample2-5000001-33b38aad86f02b2602b9899637824b1c"},
		{"sample above 4 GiB", fingerprint.Sample{}, infoOf(1<<40 + 12345), "sample2-1099511640121-8be694d893a91b8bbd0ff8638d3f0838"},
		{"content of empty source", fingerprint.Content{}, infoOf(0), "content1-0-99aa06d3014798d86001c324468d497f"},
		{"content of 1 byte", fingerprint.Content{}, infoOf(1), "content1-1-a6cd5e9392000f6ac44bdff4074eecdb"},
		{"content", fingerprint.Content{}, infoOf(5_000_001), "content1-5000001-a7842aef523e2471ba220b8f9526b009"},
		{"stat", fingerprint.Stat{}, infoOf(5_000_001), "stat1-5000001-c91ffb5a4a4181c4409940177dfb609a"},
		{"stat without attributes", fingerprint.Stat{}, fingerprint.Info{}, "stat1-0-3db95ce2d22b950d0b458515bd3dcb8d"},
		{"stat of the largest size", fingerprint.Stat{}, infoOf(1<<63 - 1), "stat1-9223372036854775807-bcf07a9a5e430a18af4954cf05eda4e0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := &pattern{size: test.info.Size}
			if got := mustFingerprint(t, test.f, source, test.info); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestFingerprint_IsSafeFileName(t *testing.T) {
	safe := regexp.MustCompile(`^[a-z]+[12]-[0-9]+-[0-9a-f]{32}$`)
	info := infoOf(1<<63 - 1)
	info.Name, info.Version = "../../\x00ü", "\n; rm -rf /"
	for _, f := range []fingerprint.Fingerprinter{fingerprint.Sample{}, fingerprint.Stat{}} {
		got := mustFingerprint(t, f, &pattern{size: info.Size}, info)
		if !safe.MatchString(got) || len(got) > 60 {
			t.Errorf("%T: %q", f, got)
		}
	}
}

func TestFingerprint_CoversInfoFields(t *testing.T) {
	const size = 3 << 20
	for _, change := range []struct {
		name                  string
		change                func(*fingerprint.Info)
		sample, content, stat bool // whether the fingerprint changes
	}{
		{"name", func(i *fingerprint.Info) { i.Name = "renamed.mp4" }, true, false, true},
		{"size", func(i *fingerprint.Info) { i.Size-- }, true, true, true},
		{"a nanosecond", func(i *fingerprint.Info) { i.ModTime = i.ModTime.Add(1) }, true, false, true},
		{"a day", func(i *fingerprint.Info) { i.ModTime = i.ModTime.AddDate(0, 0, 1) }, true, false, true},
		{"no time", func(i *fingerprint.Info) { i.ModTime = time.Time{} }, true, false, true},
		{"version", func(i *fingerprint.Info) { i.Version = `"v2"` }, true, false, true},
		{"no version", func(i *fingerprint.Info) { i.Version = "" }, true, false, true},
		{"time zone", func(i *fingerprint.Info) { i.ModTime = i.ModTime.In(time.FixedZone("", 3600)) }, false, false, false},
	} {
		t.Run(change.name, func(t *testing.T) {
			before, after := infoOf(size), infoOf(size)
			change.change(&after)
			source := inMemory(size)
			for _, scheme := range []struct {
				f       fingerprint.Fingerprinter
				differs bool
			}{
				{fingerprint.Sample{}, change.sample},
				{fingerprint.Content{}, change.content},
				{fingerprint.Stat{}, change.stat},
			} {
				differs := mustFingerprint(t, scheme.f, source, before) != mustFingerprint(t, scheme.f, source, after)
				if differs != scheme.differs {
					t.Errorf("%T: fingerprint changed: %v, want %v", scheme.f, differs, scheme.differs)
				}
			}
		})
	}
}

func TestFingerprint_SeparatesNameAndVersion(t *testing.T) {
	a := fingerprint.Info{Version: "ab", Name: "c"}
	b := fingerprint.Info{Version: "a", Name: "bc"}
	for _, f := range []fingerprint.Fingerprinter{fingerprint.Stat{}, fingerprint.Sample{}} {
		if mustFingerprint(t, f, nil, a) == mustFingerprint(t, f, nil, b) {
			t.Errorf("%T: version and name are not separated", f)
		}
	}
}

func TestFingerprint_TruncatedSourceFails(t *testing.T) {
	for _, size := range []int64{1, 1000, 1 << 20, 1<<20 + 1, 50 << 20} {
		for _, f := range []fingerprint.Fingerprinter{fingerprint.Sample{}, fingerprint.Content{}} {
			_, err := f.Fingerprint(context.Background(), &pattern{size: size - 1}, infoOf(size))
			if !errors.Is(err, fingerprint.ErrSizeMismatch) {
				t.Errorf("%T of %d bytes, the last one missing: %v", f, size, err)
			}
		}
	}
}

func TestFingerprint_InvalidInputFails(t *testing.T) {
	for _, f := range []fingerprint.Fingerprinter{fingerprint.Sample{}, fingerprint.Content{}, fingerprint.Stat{}} {
		_, err := f.Fingerprint(context.Background(), &pattern{}, infoOf(-1))
		if err == nil {
			t.Errorf("%T with size -1: %v", f, err)
		}
		_, err = f.Fingerprint(context.Background(), nil, infoOf(1))
		if _, stat := f.(fingerprint.Stat); !stat && err == nil {
			t.Errorf("%T without reader: %v", f, err)
		}
		if _, err = f.Fingerprint(context.Background(), nil, infoOf(0)); err != nil {
			t.Errorf("%T of an empty source without reader: %v", f, err)
		}
	}
}

func TestFingerprint_ReturnsReadError(t *testing.T) {
	broken := errors.New("disk failure")
	// The second half of the source cannot be read.
	source := readerAtFunc(func(p []byte, offset int64) (int, error) {
		if offset > 1<<20 {
			return 0, broken
		}
		return len(p), nil
	})
	for _, f := range []fingerprint.Fingerprinter{fingerprint.Sample{}, fingerprint.Content{}} {
		_, err := f.Fingerprint(context.Background(), source, infoOf(2<<20))
		if !errors.Is(err, broken) || errors.Is(err, fingerprint.ErrSizeMismatch) {
			t.Errorf("%T: %v", f, err)
		}
	}
}

func TestFingerprint_EmptyReadsFail(t *testing.T) {
	source := readerAtFunc(func([]byte, int64) (int, error) { return 0, nil })
	for _, f := range []fingerprint.Fingerprinter{fingerprint.Sample{}, fingerprint.Content{}} {
		if _, err := f.Fingerprint(context.Background(), source, infoOf(10)); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("%T: %v", f, err)
		}
	}
}

func TestFingerprint_ShortReadsAreCompleted(t *testing.T) {
	for _, size := range []int64{1, 4097, 2 << 20} {
		whole := &pattern{size: size}
		for name, source := range map[string]io.ReaderAt{
			"short reads without error": readerAtFunc(func(p []byte, offset int64) (int, error) {
				return whole.ReadAt(p[:min(len(p), 1021)], offset)
			}),
			"short and empty reads": readerAtFunc(func(p []byte, offset int64) (int, error) {
				if n := len(whole.reads); n%3 == 0 {
					whole.reads = append(whole.reads, span{})
					return 0, nil
				}
				return whole.ReadAt(p[:min(len(p), 997)], offset)
			}),
			"io.EOF with the last bytes": readerAtFunc(func(p []byte, offset int64) (int, error) {
				n, err := whole.ReadAt(p, offset)
				if offset+int64(n) == size {
					err = io.EOF
				}
				return n, err
			}),
		} {
			for _, f := range []fingerprint.Fingerprinter{fingerprint.Sample{}, fingerprint.Content{}} {
				want := mustFingerprint(t, f, &pattern{size: size}, infoOf(size))
				if got := mustFingerprint(t, f, source, infoOf(size)); got != want {
					t.Errorf("%T of %d bytes, %s: got %s, want %s", f, size, name, got, want)
				}
			}
		}
	}
}

func TestFingerprint_CancelStopsReading(t *testing.T) {
	const size = 100 << 20
	for _, f := range []fingerprint.Fingerprinter{fingerprint.Sample{}, fingerprint.Content{}} {
		ctx, cancel := context.WithCancel(context.Background())
		source := &pattern{size: size}
		_, err := f.Fingerprint(ctx, readerAtFunc(func(p []byte, offset int64) (int, error) {
			if len(source.reads) == 2 {
				cancel()
			}
			return source.ReadAt(p, offset)
		}), infoOf(size))
		if !errors.Is(err, context.Canceled) || len(source.reads) != 3 {
			t.Errorf("%T: %v after %d reads, want the context's error after the third", f, err, len(source.reads))
		}
	}
}

func TestFingerprint_CanceledContextReadsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, f := range []fingerprint.Fingerprinter{fingerprint.Sample{}, fingerprint.Content{}, fingerprint.Stat{}} {
		for _, size := range []int64{0, 10} {
			source := &pattern{size: size}
			_, err := f.Fingerprint(ctx, source, infoOf(size))
			if !errors.Is(err, context.Canceled) || len(source.reads) != 0 {
				t.Errorf("%T of %d bytes: %v after %d reads", f, size, err, len(source.reads))
			}
		}
	}
}
