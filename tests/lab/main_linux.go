package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// insideVariable marks the test binary that Main started in a user namespace.
const insideVariable = "VDI_GATEWAY_LAB"

// Main runs a test binary where it can make namespaces, and returns its exit
// code. Root can already; for anybody else the binary is started once more, as
// root of a user namespace. Where that is forbidden it runs as it is, and New
// skips the tests.
func Main(run func() int) int {
	if os.Getenv(insideVariable) != "" {
		_ = exec.Command("ip", "link", "set", "lo", "up").Run() //nolint:noctx // New says so when there is no ip
		return run()
	}
	if os.Geteuid() == 0 {
		return run()
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...) //nolint:gosec,noctx // this program again; it lives as long as this one
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	if cmd.Start() != nil {
		return run()
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintf(os.Stderr, "lab: %v\n", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}
