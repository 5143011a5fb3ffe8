//go:build !linux

package tus

// processPlace is empty: nothing distinguishes this machine and its containers from others of
// the same name. Without it, the values of the functions below have no effect.
func processPlace() string { return "" }

func bootTime() int64 { return 0 }

func processStart(int) string { return "" }

func processExists(int) bool { return true }
