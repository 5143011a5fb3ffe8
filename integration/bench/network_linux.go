package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// separateNetwork starts a process in a new network namespace, and in a new user
// namespace if the user is not root.
func separateNetwork(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if user := os.Geteuid(); user != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: user, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return nil
}

const congestionControl = "/proc/sys/net/ipv4/tcp_congestion_control"

// configureNetwork configures a new network namespace: it enables the loopback
// interface and selects the default congestion control of Linux. BBR, which an
// administrator may have selected, paces packets by the measured path. On a
// loopback interface it measures the scheduler, so the same program may take twice
// as long in the next run.
func configureNetwork() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	loopback, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	loopback.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, loopback); err != nil {
		return fmt.Errorf("loopback interface: %w", err)
	}
	for _, algorithm := range []string{"cubic", "reno"} { // equal without packet loss
		if err = os.WriteFile(congestionControl, []byte(algorithm), 0); err == nil {
			return nil
		}
	}
	return err
}

// networkText describes the connections of this process.
func networkText() string {
	algorithm, err := os.ReadFile(congestionControl)
	if err != nil {
		return "loopback connections"
	}
	return "loopback connections with the congestion control " + strings.TrimSpace(string(algorithm))
}
