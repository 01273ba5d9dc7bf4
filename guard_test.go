package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A service manager signals all processes of a service; the guard has to give the address
// up before it ends.
func TestTheGuardEndsByItsPipeAlone(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "vdi-gateway", "guard")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if !holds(func() bool { return ignores(t, cmd.Process.Pid, syscall.SIGABRT) }) {
		t.Error("got a guard that the watchdog's signal ends, want it ignored")
	}
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGABRT} {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // how it ended is what counts
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() || status.ExitStatus() == 2 {
		t.Errorf("got %s, want it to end by itself", cmd.ProcessState)
	}
}

// ignores tells whether a process ignores a signal.
func ignores(t *testing.T, pid int, s syscall.Signal) bool {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if mask, is := strings.CutPrefix(line, "SigIgn:"); is {
			bits, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			return err == nil && bits&(1<<(s-1)) != 0
		}
	}
	return false
}
