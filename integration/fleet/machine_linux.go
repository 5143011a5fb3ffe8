package fleet

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
)

// machineAttributes returns the attributes of a process that acts as a machine: it has
// namespaces of its own, so that processes of other machines cannot see whether it lives.
func machineAttributes() *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS}
	if uid := os.Getuid(); uid != 0 {
		attributes.Cloneflags |= syscall.CLONE_NEWUSER
		attributes.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		attributes.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return attributes
}

// enterMachine mounts /proc of the namespaces, and sets the name of the host. The number of a
// PID namespace is soon used again, for a process that is then known to replace a dead one.
func enterMachine(host string) error {
	if err := syscall.Sethostname([]byte(host)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

// machineName returns the host name and the PID namespace of this process.
func machineName() string {
	host, err := os.Hostname()
	namespace, err2 := os.Readlink("/proc/self/ns/pid")
	if err := errors.Join(err, err2); err != nil {
		return err.Error()
	}
	return host + " " + namespace
}

// memory is the memory of this process from an address on.
type memory struct {
	*os.File
	base int64
}

func (m memory) ReadAt(p []byte, off int64) (int, error) { return m.File.ReadAt(p, m.base+off) }

// setClock moves the clock of this process by seconds. There are no namespaces for the time of
// day, so it replaces the function of the vDSO that all readings of the clock call. Monotonic
// time and timers are unaffected, as on a machine whose clock is wrong.
func setClock(ahead time.Duration) error {
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("clock of a process on %s: %w", runtime.GOARCH, errors.ErrUnsupported)
	}
	const sysinfo = 33 // AT_SYSINFO_EHDR
	aux, err := os.ReadFile("/proc/self/auxv")
	if err != nil {
		return err
	}
	var base uint64
	for ; len(aux) >= 16; aux = aux[16:] {
		if binary.LittleEndian.Uint64(aux) == sysinfo {
			base = binary.LittleEndian.Uint64(aux[8:])
		}
	}
	if base == 0 {
		return fmt.Errorf("no vDSO: %w", errors.ErrUnsupported)
	}
	file, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	image, err := elf.NewFile(memory{file, int64(base)})
	if err != nil {
		return err
	}
	symbols, err := image.DynamicSymbols()
	if err != nil {
		return err
	}
	before := time.Now()
	at := map[string]uint64{}
	for _, symbol := range symbols {
		at[symbol.Name] = symbol.Value
	}
	// Another thread may be in the function, so that only a jump replaces its first bytes. The
	// code is that of a function that nobody calls.
	from, to := at["__vdso_clock_gettime"], at["__vdso_gettimeofday"]
	if from == 0 || to == 0 {
		return fmt.Errorf("functions of the vDSO: %w", errors.ErrUnsupported)
	}
	if _, err := file.WriteAt(clockCode(ahead), int64(base+to)); err != nil {
		return err
	}
	jump := binary.LittleEndian.AppendUint32([]byte{0xe9}, uint32(to-from-5))
	if _, err := file.WriteAt(jump, int64(base+from)); err != nil {
		return err
	}
	if moved := time.Now().Round(0).Sub(before.Round(0)) - ahead; moved.Abs() > 10*time.Second {
		return fmt.Errorf("the clock is off by %v: %w", moved, errors.ErrUnsupported)
	}
	return nil
}

// clockCode is clock_gettime(clock, time), with seconds added to CLOCK_REALTIME.
func clockCode(ahead time.Duration) []byte {
	var code bytes.Buffer
	code.Write([]byte{
		0xb8, 0xe4, 0, 0, 0, // mov eax, 228
		0x0f, 0x05, // syscall
		0x85, 0xff, // test edi, edi
		0x75, 0x07, // jnz +7
		0x48, 0x81, 0x06, // add qword ptr [rsi], seconds
	})
	_ = binary.Write(&code, binary.LittleEndian, int32(ahead/time.Second))
	code.WriteByte(0xc3) // ret
	return code.Bytes()
}
