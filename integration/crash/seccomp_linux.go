package crash

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// largeWrite is larger than any header, log line or event of the process, and
// smaller than a copied block of a file.
const largeWrite = 12 << 10

// forbidLargeWrites makes the kernel kill the process if it writes more than
// largeWrite bytes of its memory at once, to any file descriptor. Bytes of a file
// can then only be sent with sendfile and splice.
func forbidLargeWrites() error {
	const (
		number   = 0            // struct seccomp_data: nr
		sizeArg  = 16 + 2*8     // low half of the third argument
		sizeHigh = 16 + 2*8 + 4 // high half
		load     = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal    = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		greater  = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K
		action   = unix.BPF_RET | unix.BPF_K
	)
	program := []unix.SockFilter{
		{Code: load, K: number},
		{Code: equal, K: unix.SYS_WRITE, Jt: 3},
		{Code: equal, K: unix.SYS_SENDTO, Jt: 2},
		{Code: equal, K: unix.SYS_WRITEV, Jt: 5}, // net.Buffers: nothing here uses it
		{Code: action, K: unix.SECCOMP_RET_ALLOW},
		{Code: load, K: sizeHigh},
		{Code: greater, K: 0, Jt: 2},
		{Code: load, K: sizeArg},
		{Code: greater, K: largeWrite, Jf: 1},
		{Code: action, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: action, K: unix.SECCOMP_RET_ALLOW},
	}
	runtime.LockOSThread() // no_new_privs is a property of the thread
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&filter)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}
