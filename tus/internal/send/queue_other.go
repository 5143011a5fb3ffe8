//go:build !linux

package send

import "net"

// unsentBytes cannot be told on this system.
func unsentBytes(net.Conn) int { return -1 }
