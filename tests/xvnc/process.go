package xvnc

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for a program; what is waited for takes a fraction of it.
const patience = 30 * time.Second

// Place is where programs run: Here, or the Do of a lab's host.
type Place func(start func() error) error

// Here is the machine of the test itself.
func Here(start func() error) error { return start() }

// Need is the path of a program; the test is skipped where there is none.
func Need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed: tests/install.sh", program)
	}
	return path
}

// Process is a program that runs until it ends, is stopped, or the test ends.
type Process struct {
	cmd   *exec.Cmd
	said  string // the file
	ended chan struct{}
	err   error // once ended is closed
}

// Start starts a program with a home of its own, unless its environment is set. Where the
// program wants none of it, extra files come after the three usual ones.
func Start(t testing.TB, on Place, cmd *exec.Cmd, extra ...*os.File) *Process {
	t.Helper()
	said, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = said.Close() }()
	if cmd.Env == nil {
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	}
	cmd.ExtraFiles = extra
	if cmd.Stderr == nil {
		cmd.Stderr = said
	}
	if cmd.Stdout == nil {
		cmd.Stdout = said
	}
	if err := on(cmd.Start); err != nil {
		t.Fatal(err)
	}
	p := &Process{cmd: cmd, said: said.Name(), ended: make(chan struct{})}
	go func() { p.err = cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("%s says:\n%s", filepath.Base(cmd.Path), p.Output())
		}
	})
	return p
}

// Stop asks the program to end, so that it takes its lock files and sockets along, and
// waits.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	late := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	<-p.ended
	late.Stop()
}

// Ended is closed when the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Output is what it printed so far.
func (p *Process) Output() string {
	text, _ := os.ReadFile(p.said) // gone with the test: nothing
	return string(text)
}

// Do runs a program to its end and returns what it printed.
func Do(t testing.TB, on Place, cmd *exec.Cmd) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	p := Start(t, on, cmd)
	select {
	case <-p.ended:
		if p.err != nil {
			t.Fatalf("%s: %v: %s", cmd, p.err, p.Output())
		}
	case <-ctx.Done():
		t.Fatalf("%s: %v: %s", cmd, ctx.Err(), p.Output())
	}
	return p.Output()
}

// StartX starts an X server, Xvfb or Xtigervnc, on a display that is free and returns its
// name.
func StartX(t testing.TB, on Place, program string, args ...string) (display string) {
	t.Helper()
	path := Need(t, program)
	numbers, tell, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = numbers.Close() }()
	// It finds a number by itself, and says which when it is ready.
	p := Start(t, on, exec.Command(path, append(args, "-displayfd", "3")...), tell) //nolint:gosec,noctx // it ends with the test
	_ = tell.Close()
	_ = numbers.SetReadDeadline(time.Now().Add(patience))
	number, err := bufio.NewReader(numbers).ReadString('\n')
	if err != nil {
		t.Fatalf("%s did not start: %v: %s", program, err, p.Output())
	}
	return ":" + strings.TrimSpace(number)
}

// Eventually polls until ok holds.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
