package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// bwlimit is a rate, or a timetable of rates for the minutes of a week.
type bwlimit struct {
	// entries are ordered by minute. The zero value does not limit. One entry is a
	// constant rate.
	entries []rateEntry
}

// rateEntry is a rate from a minute of the week on, which begins on Sunday.
type rateEntry struct {
	minute int
	rate   int64 // bytes per second; 0 for no limit
}

const minutesPerDay = 24 * 60

// UnmarshalText parses a rate, or a timetable as that of rclone: "08:00,512K 19:00,off"
// for every day, or "Mon-08:00,512K Fri-19:00,off".
func (b *bwlimit) UnmarshalText(text []byte) error {
	b.entries = nil
	fields := strings.Fields(string(text))
	if len(fields) == 1 && !strings.Contains(fields[0], ",") {
		rate, err := parseRate(fields[0])
		if err != nil {
			return err
		}
		b.entries = []rateEntry{{0, rate}}
		return nil
	}
	if len(fields) == 0 {
		return fmt.Errorf("must be a rate or a timetable")
	}
	for _, field := range fields {
		entries, err := parseRateEntry(field)
		if err != nil {
			return fmt.Errorf("entry %q: %w", field, err)
		}
		b.entries = append(b.entries, entries...)
	}
	slices.SortFunc(b.entries, func(x, y rateEntry) int { return x.minute - y.minute })
	for i := range b.entries[1:] {
		if b.entries[i].minute == b.entries[i+1].minute {
			return fmt.Errorf("two entries for %s", minuteText(b.entries[i].minute))
		}
	}
	return nil
}

// parseRateEntry parses "HH:MM,RATE", which is for seven days, or "Mon-HH:MM,RATE".
func parseRateEntry(field string) ([]rateEntry, error) {
	at, rateText, ok := strings.Cut(field, ",")
	if !ok {
		return nil, fmt.Errorf("must be of the form 08:00,512K or Mon-08:00,512K")
	}
	days := []time.Weekday{0, 1, 2, 3, 4, 5, 6}
	if name, clock, ok := strings.Cut(at, "-"); ok {
		day := slices.IndexFunc(days, func(d time.Weekday) bool { return isDay(name, d) })
		if day < 0 {
			return nil, fmt.Errorf("%q is not a day such as Mon", name)
		}
		days, at = days[day:day+1], clock
	}
	clock, err := time.Parse("15:04", at)
	if err != nil {
		return nil, fmt.Errorf("%q is not a time such as 08:00", at)
	}
	rate, err := parseRate(rateText)
	if err != nil {
		return nil, err
	}
	entries := make([]rateEntry, len(days))
	for i, day := range days {
		entries[i] = rateEntry{int(day)*minutesPerDay + clock.Hour()*60 + clock.Minute(), rate}
	}
	return entries, nil
}

// isDay reports whether name is the name of a day, or its first three letters.
func isDay(name string, day time.Weekday) bool {
	return strings.EqualFold(name, day.String()) || strings.EqualFold(name, day.String()[:3])
}

func minuteText(minute int) string {
	day := time.Weekday(minute / minutesPerDay)
	return fmt.Sprintf("%s-%02d:%02d", day.String()[:3], minute/60%24, minute%60)
}

// parseRate parses a size per second, or off.
func parseRate(text string) (int64, error) {
	if text == "off" {
		return 0, nil
	}
	var s size
	err := s.UnmarshalText([]byte(text))
	return int64(s), err
}

// rateAt returns the rate at a local time, 0 for no limit. It reads the clock on the wall,
// so that entries keep their hour when daylight saving time begins or ends.
func (b bwlimit) rateAt(t time.Time) int64 {
	if len(b.entries) == 0 {
		return 0
	}
	minute := int(t.Weekday())*minutesPerDay + t.Hour()*60 + t.Minute()
	current := b.entries[len(b.entries)-1] // of last week
	for _, entry := range b.entries {
		if entry.minute > minute {
			break
		}
		current = entry
	}
	return current.rate
}

// follow sets limit to the rate of each minute until ctx ends. It reads the time again each
// minute, because the clock may be set and the computer may sleep.
func (b bwlimit) follow(ctx context.Context, limit *tus.RateLimit) {
	for rate := b.rateAt(time.Now()); ; {
		now := time.Now()
		timer := time.NewTimer(now.Truncate(time.Minute).Add(time.Minute).Sub(now))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		if next := b.rateAt(time.Now()); next != rate {
			rate = next
			limit.Set(rate)
		}
	}
}

// start returns the limiter of a run and a function that ends it; the limiter is nil
// without a limit.
func (b bwlimit) start() (tus.Limiter, func()) {
	if len(b.entries) < 2 && b.rateAt(time.Time{}) == 0 {
		return nil, func() {}
	}
	limit := tus.NewRateLimit(b.rateAt(time.Now()))
	if len(b.entries) < 2 {
		return limit, func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.follow(ctx, limit)
	}()
	return limit, func() {
		cancel()
		<-done
	}
}
