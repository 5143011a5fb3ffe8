package fingerprint_test

import (
	"testing"

	"github.com/seed-175555ba/tus-go/fingerprint"
)

func TestContent_ReadsEachByteOnce(t *testing.T) {
	const size = 5_000_001
	source := &pattern{size: size}
	mustFingerprint(t, fingerprint.Content{}, source, infoOf(size))
	next := int64(0)
	for _, s := range source.reads {
		if s.start != next || s.end-s.start > 256<<10 {
			t.Fatalf("read %d to %d, want at most 256 KiB from %d", s.start, s.end, next)
		}
		next = s.end
	}
	if next != size {
		t.Errorf("read %d of %d bytes", next, size)
	}
}

func TestContent_ReportsProgressUpToSize(t *testing.T) {
	for _, size := range []int64{1, 256 << 10, 5_000_001} {
		last, calls := int64(0), 0
		f := fingerprint.Content{OnProgress: func(done, reported int64) {
			if done <= last || reported != size {
				t.Errorf("progress %d of %d after %d of %d", done, reported, last, size)
			}
			last = done
			calls++
		}}
		mustFingerprint(t, f, &pattern{size: size}, infoOf(size))
		if last != size || calls == 0 {
			t.Errorf("%d calls, the last one with %d of %d bytes", calls, last, size)
		}
	}
}

func TestContent_DetectsChangeOfAnyByte(t *testing.T) {
	const size = 300_000 // two reads
	source := inMemory(size)
	before := mustFingerprint(t, fingerprint.Content{}, source, infoOf(size))
	for at := int64(0); at < size; at += 9973 {
		if mustFingerprint(t, fingerprint.Content{}, changed(source, at), infoOf(size)) == before {
			t.Fatalf("the change of byte %d is not detected", at)
		}
	}
}
