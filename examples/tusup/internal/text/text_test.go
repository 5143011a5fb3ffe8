package text_test

import (
	"testing"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/text"
)

func TestCut_FitsColumns(t *testing.T) {
	for s, want := range map[string]string{
		"short.bin": "short.bin", "0123456789": "0123456789", "01234567890": "012345678…",
		"長い名前の": "長い名前の", "長い名前の名": "長い名前…",
	} {
		if got := text.Cut(s, 10); got != want {
			t.Errorf("%q became %q, want %q", s, got, want)
		}
	}
}
