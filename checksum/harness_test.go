package checksum_test

import (
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
)

func lookup(t testing.TB, name string) checksum.Algorithm {
	t.Helper()
	a, ok := checksum.Builtin().Lookup(name)
	if !ok {
		t.Fatalf("no algorithm %q", name)
	}
	return a
}
