//go:build !unix && !windows

package tus

// processExists cannot be told on this system, so every process counts as
// alive until its lease ends.
func processExists(int) bool { return true }
