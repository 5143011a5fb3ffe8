//go:build !linux

package tus

// processNamespace is unknown here: nothing tells this machine and its containers
// from others of the same name.
func processNamespace() string { return "" }

// processStart is unknown here.
func processStart(int) string { return "" }

// processExists is never asked without a namespace.
func processExists(int) bool { return true }
