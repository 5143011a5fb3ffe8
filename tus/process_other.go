//go:build !linux

package tus

// bootID cannot be told on this system.
func bootID() string { return "" }

// processStart cannot be told on this system.
func processStart(int) string { return "" }
