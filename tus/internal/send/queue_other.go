//go:build !linux

package send

import "net"

// unsentBytes is unknown on this system.
func unsentBytes(net.Conn) int { return -1 }
