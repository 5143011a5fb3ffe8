//go:build !linux

package send

import "net"

// unsentBytes returns -1: the number is unknown on this system.
func unsentBytes(net.Conn) int { return -1 }
