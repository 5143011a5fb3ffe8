package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func mustParseLimit(t *testing.T, text string) bwlimit {
	t.Helper()
	var b bwlimit
	if err := b.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBwlimit_RateAtTime(t *testing.T) {
	const daily, weekly = "08:00,512K 12:00,10M 18:00,off", "Mon-08:00,1M friday-19:30,off Sun-20:00,2MB"
	for _, test := range []struct {
		limit, at string
		want      int64
	}{
		{"off", "Mon 03:00", 0},
		{"0", "Mon 03:00", 0},
		{"1M", "Mon 03:00", 1 << 20},
		{"1000", "Mon 03:00", 1000},
		{daily, "Mon 07:59", 0},
		{daily, "Mon 08:00", 512 << 10},
		{daily, "Tue 11:59", 512 << 10},
		{daily, "Wed 12:00", 10 << 20},
		{daily, "Sat 18:00", 0},
		{daily, "Sun 00:00", 0},
		{"08:00,512K", "Sun 00:00", 512 << 10}, // one entry: of the day before
		{weekly, "Mon 07:59", 2e6},
		{weekly, "Mon 08:00", 1 << 20},
		{weekly, "Fri 19:29", 1 << 20},
		{weekly, "Fri 19:30", 0},
		{weekly, "Sun 19:59", 0},
		{weekly, "Sun 20:00", 2e6},
		{weekly, "Sun 00:00", 0},
		{"Wed-10:00,1M", "Tue 00:00", 1 << 20}, // of last week
		{"Mon-00:00,1M Tue-00:00,off", "Mon 23:59", 1 << 20},
	} {
		at, err := time.Parse("2006-01-02 15:04", map[string]string{"Sun": "2026-11-29", "Mon": "2026-11-30", "Tue": "2026-12-01",
			"Wed": "2026-12-02", "Fri": "2026-12-04", "Sat": "2026-12-05"}[test.at[:3]]+test.at[3:])
		if err != nil {
			t.Fatal(err)
		}
		if got := mustParseLimit(t, test.limit).rateAt(at); got != test.want {
			t.Errorf("%s at %s: %d, want %d", test.limit, test.at, got, test.want)
		}
	}
}

func TestBwlimit_DaylightSavingKeepsTheHour(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones: ", err)
	}
	b := mustParseLimit(t, "02:30,1000 08:00,2000")
	for utc, want := range map[string]int64{
		"2026-03-29T00:59:00Z": 2000, // 01:59, one minute before 03:00
		"2026-03-29T01:00:00Z": 1000, // 03:00: 02:30 does not exist on this day
		"2026-03-29T05:59:00Z": 1000, // 07:59
		"2026-03-29T06:00:00Z": 2000, // 08:00
		"2026-10-25T00:30:00Z": 1000, // 02:30, the first of two
		"2026-10-25T01:00:00Z": 2000, // 02:00, for the second time
		"2026-10-25T01:30:00Z": 1000,
		"2026-10-25T07:00:00Z": 2000, // 08:00
	} {
		at, err := time.Parse(time.RFC3339, utc)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.rateAt(at.In(berlin)); got != want {
			t.Errorf("at %v: %d, want %d", at.In(berlin), got, want)
		}
	}
}

func TestBwlimit_ErrorNamesEntry(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "must be a rate",
		"fast":                  `"fast" is not a size`,
		"-1M":                   `"-1M" is`,
		"08:00,1M 25:00,2M":     `entry "25:00,2M": "25:00" is not a time`,
		"08:00,1M 12:00":        `entry "12:00": must be of the form`,
		"08:00,1M 12:00,fast":   `entry "12:00,fast": "fast" is not a size`,
		"Mop-08:00,1M":          `entry "Mop-08:00,1M": "Mop" is not a day`,
		"08:00,1M Mon-08:00,2M": "two entries for Mon-08:00",
	} {
		var b bwlimit
		if err := b.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// The limiter is that of the library: at 1000 bytes per second, 500 bytes take half a second.
func TestBwlimit_SwitchesAtItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		first, second := start.Add(10*time.Minute+time.Second), start.Add(20*time.Minute)
		b := mustParseLimit(t, first.Format("15:04")+",1000 "+second.Format("15:04")+",off")
		limiter, end := b.start()
		defer end()
		wait := func() time.Duration {
			before := time.Now()
			for range 5 {
				if err := limiter.WaitN(t.Context(), 100); err != nil {
					t.Fatal(err)
				}
			}
			return time.Since(before)
		}
		for _, test := range []struct {
			at   time.Duration
			slow bool
		}{{0, false}, {9*time.Minute + 59*time.Second, false}, {10*time.Minute + time.Second, true}, {19 * time.Minute, true}, {20*time.Minute + time.Second, false}} {
			time.Sleep(time.Until(start.Add(test.at)))
			synctest.Wait()
			if took := wait(); took >= 300*time.Millisecond != test.slow {
				t.Errorf("after %v, 500 bytes took %v", test.at, took)
			}
		}
	})
}

func TestBwlimit_ConstantRateLimitsUploads(t *testing.T) {
	var b bwlimit
	if limiter, _ := b.start(); limiter != nil {
		t.Errorf("no limit has the limiter %v", limiter)
	}
	limiter, end := mustParseLimit(t, "1M").start()
	defer end()
	if limiter == nil || limiter.Burst() > 1<<20 {
		t.Errorf("limiter is %v", limiter)
	}
}
