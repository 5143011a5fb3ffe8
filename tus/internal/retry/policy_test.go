package retry_test

import (
	"math"
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/tus/internal/retry"
)

func TestPolicy_DefaultWaitDoublesUpToAMinute(t *testing.T) {
	for attempt, nominal := range map[int]time.Duration{
		1: 0, 2: 500 * time.Millisecond, 3: time.Second, 8: 32 * time.Second, 9: time.Minute, 100: time.Minute, math.MaxInt: time.Minute,
	} {
		for range 100 {
			if got := (retry.Policy{}).Wait(attempt, 0); got < nominal*7/10 || got > nominal*13/10 {
				t.Errorf("attempt %d: %v", attempt, got)
			}
		}
	}
}
