package tus

import "syscall"

// processExists reports whether pid is a running process of this machine.
func processExists(pid int) bool {
	const (
		queryLimitedInformation = 0x1000
		stillActive             = 259
		invalidParameter        = syscall.Errno(87)
	)
	handle, err := syscall.OpenProcess(queryLimitedInformation, false, uint32(pid))
	if err != nil {
		return err != invalidParameter // which is what an unused number gives
	}
	defer syscall.CloseHandle(handle)
	var code uint32
	if err := syscall.GetExitCodeProcess(handle, &code); err != nil {
		return true
	}
	return code == stillActive
}
