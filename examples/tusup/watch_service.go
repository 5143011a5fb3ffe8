package main

import (
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/spool"
)

// manager notifies systemd of the state of watch or of a worker. Outside of a unit of systemd it does
// nothing.
type manager struct {
	program  *program
	watchdog time.Duration // 0 if the unit has none
	failed   bool
}

func newManager(p *program) *manager {
	m := &manager{program: p}
	var err error
	if m.watchdog, err = daemon.SdWatchdogEnabled(false); err != nil {
		p.logf("warning: WATCHDOG_USEC: %v", err)
	}
	return m
}

// interval returns how often status must be called.
func (m *manager) interval() time.Duration {
	const longest = 5 * time.Second
	if m.watchdog > 0 {
		return min(longest, m.watchdog/2)
	}
	return longest
}

func (m *manager) ready(status string) {
	m.notify(daemon.SdNotifyReady + "\nSTATUS=" + status)
}

func (m *manager) stopping() {
	m.notify(daemon.SdNotifyStopping + "\nSTATUS=pausing uploads")
}

// status sends a line about the queue. It is the proof of life for the watchdog as well.
func (m *manager) status(line string) {
	text := "STATUS=" + line
	if m.watchdog > 0 {
		text += "\n" + daemon.SdNotifyWatchdog
	}
	m.notify(text)
}

func (m *manager) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil && !m.failed {
		m.failed = true
		m.program.logf("warning: systemd was not notified: %v", err)
	}
}

// statusText returns a line such as "12 waiting, 4 in flight; server unreachable: …".
func statusText(s spool.Status) string {
	text := fmt.Sprintf("%d waiting, %d in flight", s.Settling+s.Waiting, s.InFlight)
	if s.Down != "" {
		text += "; " + oneLine(s.Down)
	}
	return text
}
