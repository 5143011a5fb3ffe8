package tus

import "time"

// progressInterval is the minimum time between two calls of OnProgress while bytes are
// sent.
const progressInterval = 100 * time.Millisecond

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
	// that were resent. It is 0 while unknown: in the first second, also after a pause, and
	// if no byte was sent in that time. Bytes of earlier sessions do not count.
	Rate int64
}

// Remaining returns how long the rest takes at Rate; 0 if Rate is 0 or the size is unknown.
func (p Progress) Remaining() time.Duration {
	if p.SizeUnknown {
		return 0
	}
	return remaining(p.Size-p.Acknowledged-p.InFlight, p.Rate)
}
