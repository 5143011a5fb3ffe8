package tus

import "time"

const (
	// progressInterval is the minimum time between two calls of OnProgress while bytes are
	// sent.
	progressInterval = 100 * time.Millisecond
	// rateWindow is the time over which Progress.Rate is measured, and minRateWindow the
	// minimum: the buffers of the system take the first bytes at once.
	rateWindow    = 5 * time.Second
	minRateWindow = time.Second
)

// Progress counts the bytes of an upload, including earlier sessions of a resumed one.
type Progress struct {
	// Acknowledged is the highest offset that the server acknowledged; in a parallel
	// upload, the number of bytes of all parts. It never decreases, even if the server
	// loses acknowledged bytes. It is 0 until the first request is acknowledged, and without
	// a ChunkSize that request has all bytes: show the sum with InFlight.
	Acknowledged int64
	// InFlight is the number of bytes that were sent and not yet acknowledged. A progress
	// bar shows the sum of both, which decreases when bytes in flight are lost.
	InFlight int64
	// Size is the size of the source in bytes, 0 if SizeUnknown is set.
	Size int64
	// SizeUnknown is set until a stream of unknown size ends.
	SizeUnknown bool
	// Rate is the number of bytes sent per second in the last five seconds, including bytes
	// that were resent. It is 0 while unknown: in the first second, also after a pause, and if no byte
	// was sent in that time. Bytes of earlier sessions do not count.
	Rate int64
}

// Remaining returns how long the rest takes at Rate; 0 if Rate is 0 or the size is unknown.
func (p Progress) Remaining() time.Duration {
	rest := p.Size - p.Acknowledged - p.InFlight
	if p.Rate <= 0 || p.SizeUnknown || rest <= 0 {
		return 0
	}
	const longest = 1<<63 - 1
	return time.Duration(min(float64(rest)/float64(p.Rate)*float64(time.Second), longest/2))
}

// rateMeter measures Progress.Rate.
type rateMeter struct {
	samples []rateSample // of the last rateWindow, and one before it
}

type rateSample struct {
	at   time.Time
	sent int64
}

// start begins a new measurement: no bytes were sent while the upload was paused.
func (m *rateMeter) start(sent int64) {
	m.samples = append(m.samples[:0], rateSample{time.Now(), sent})
}

// measure returns the rate after sent bytes, counted since any time.
func (m *rateMeter) measure(sent int64) int64 {
	now := rateSample{time.Now(), sent}
	if len(m.samples) == 0 {
		m.samples = append(m.samples, now)
		return 0
	}
	outside := 0 // the last sample outside the window
	for outside+1 < len(m.samples) && now.at.Sub(m.samples[outside+1].at) >= rateWindow {
		outside++
	}
	m.samples = append(m.samples[:0], m.samples[outside:]...)
	if now.at.Sub(m.samples[len(m.samples)-1].at) >= progressInterval {
		m.samples = append(m.samples, now)
	}
	first := m.samples[0]
	span := now.at.Sub(first.at)
	if span < minRateWindow {
		return 0
	}
	return int64(float64(sent-first.sent) / span.Seconds())
}
