package checksum_test

import (
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
)

func lookup(t testing.TB, name string) checksum.Algorithm {
	t.Helper()
	for _, a := range checksum.Builtin() {
		if a.Name == name {
			return a
		}
	}
	t.Fatalf("no algorithm %q", name)
	return checksum.Algorithm{}
}
