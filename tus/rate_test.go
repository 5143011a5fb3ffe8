package tus_test

import (
	"testing"
	"time"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// rates uploads a source at 1 MB/s and returns the reports of the upload.
func rates(t *testing.T, h *tustest.Handler, client *tus.Client, source tus.Source, opts tus.UploadOptions) []tus.Progress {
	t.Helper()
	var seen recorder
	opts.Hooks, opts.RateLimit, opts.CreationLimit = seen.hooks(), tus.NewRateLimit(1_000_000), -1
	u, err := client.NewUploader(source, &opts)
	if err != nil {
		t.Fatal(err)
	}
	for {
		res, err := u.Run(t.Context())
		if err == nil {
			wantStored(t, h, res.URL, randomBytes(10_000_000))
			return seen.reports
		}
		wantError(t, err, tus.ErrPaused)
		time.Sleep(time.Hour) // of the bubble
	}
}

// wantRate fails unless all known rates are about 1 MB/s, and the first ones are unknown.
func wantRate(t *testing.T, reports []tus.Progress) {
	t.Helper()
	known := 0
	for i, p := range reports {
		if i == 0 && (p.Rate != 0 || p.Remaining() != 0) {
			t.Errorf("first report has rate %d, %v remaining", p.Rate, p.Remaining())
		}
		if p.Rate == 0 {
			if p.Remaining() != 0 {
				t.Errorf("report %d: %v remaining at an unknown rate", i, p.Remaining())
			}
			continue
		}
		known++
		if p.Rate < 800_000 || p.Rate > 1_200_000 {
			t.Errorf("report %d: rate is %d", i, p.Rate)
		}
		left := time.Duration(p.Size-p.Acknowledged-p.InFlight) * time.Microsecond
		if diff := p.Remaining() - left; diff.Abs() > left/4+time.Millisecond {
			t.Errorf("report %d: %v remaining, want about %v", i, p.Remaining(), left)
		}
	}
	if known < len(reports)/2 {
		t.Errorf("rate is known in %d of %d reports", known, len(reports))
	}
}

func TestProgressRate_OfEachWayOfSending(t *testing.T) {
	for way, opts := range map[string]tus.UploadOptions{
		"single":   {},
		"chunked":  {ChunkSize: 1 << 20},
		"paused":   {StopAt: 5_000_000},
		"parallel": {Parallel: 3, ParallelOptions: tus.ParallelOptions{MinPartSize: 1_000_000}},
	} {
		t.Run(way, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
				wantRate(t, rates(t, h, newClient(nil), tus.Bytes(randomBytes(10_000_000)), opts))
			})
		})
	}
}

// The bytes of an earlier session count as acknowledged, and not for the rate.
func TestProgressRate_WithoutBytesOfEarlierSession(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		source, store := tus.Bytes(randomBytes(10_000_000)), new(storage.Memory)
		_, err := newClient(&tus.Options{Store: store}).Upload(t.Context(), source, &tus.UploadOptions{StopAt: 4_000_000})
		wantError(t, err, tus.ErrPaused)
		reports := rates(t, h, newClient(&tus.Options{Store: store}), source, tus.UploadOptions{})
		if reports[0].Acknowledged != 4_000_000 {
			t.Errorf("first report is %+v", reports[0])
		}
		wantRate(t, reports)
	})
}

// The rate follows a change within a few seconds.
func TestProgressRate_IsOfTheLastSeconds(t *testing.T) {
	bubble(t, func(t *testing.T, h *tustest.Handler, newClient func(*tus.Options) *tus.Client) {
		limit := tus.NewRateLimit(4_000_000)
		time.AfterFunc(10*time.Second, func() { limit.Set(1_000_000) })
		var seen recorder
		_, err := newClient(nil).Upload(t.Context(), tus.Bytes(randomBytes(50_000_000)), &tus.UploadOptions{RateLimit: limit, Hooks: seen.hooks(), CreationLimit: -1})
		if err != nil {
			t.Fatal(err)
		}
		if last := seen.reports[len(seen.reports)-1]; last.Rate < 800_000 || last.Rate > 1_200_000 {
			t.Errorf("rate at the end is %d", last.Rate)
		}
	})
}

func TestProgressRemaining_UnknownIsZero(t *testing.T) {
	for name, test := range map[string]struct {
		p    tus.Progress
		want time.Duration
	}{
		"known":        {tus.Progress{Acknowledged: 100, InFlight: 100, Size: 1000, Rate: 400}, 2 * time.Second},
		"no rate":      {tus.Progress{Acknowledged: 100, Size: 1000}, 0},
		"unknown size": {tus.Progress{Acknowledged: 100, SizeUnknown: true, Rate: 10}, 0},
		"complete":     {tus.Progress{Acknowledged: 1000, Size: 1000, Rate: 10}, 0},
		"negative":     {tus.Progress{Size: 1000, Rate: -1}, 0},
	} {
		if got := test.p.Remaining(); got != test.want {
			t.Errorf("%s: %v remaining, want %v", name, got, test.want)
		}
	}
	if got := (tus.Progress{Size: 1<<63 - 1, Rate: 1}).Remaining(); got <= 0 {
		t.Errorf("%v remaining of the largest source", got)
	}
}
