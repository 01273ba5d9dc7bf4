package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

// stopTime is how long a program may take to end when it is asked to.
const stopTime = 10 * time.Second

// outputMax is how much of a program's output is kept: the newest part.
const outputMax = 1 << 20

// Process is a program that runs on a host.
type Process struct {
	cmd    *exec.Cmd
	out    *output
	exited chan struct{}
	err    error // once exited is closed
}

// Start starts a program on the host. What it prints is kept for Output unless
// cmd says where it goes. It dies with this process.
func (h *Host) Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, out: &output{}, exited: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = p.out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = p.out
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.WaitDelay = time.Second // a child of its own may hold the output open
	if err := h.Do(cmd.Start); err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.processes = append(h.processes, p)
	h.mu.Unlock()
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
		h.forget(p)
	}()
	return p, nil
}

func (h *Host) forget(p *Process) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.processes = slices.DeleteFunc(h.processes, func(other *Process) bool { return other == p })
}

// Run runs a program on the host to its end and returns what it printed.
func (h *Host) Run(ctx context.Context, cmd *exec.Cmd) (string, error) {
	p, err := h.Start(cmd)
	if err != nil {
		return "", err
	}
	select {
	case <-p.exited:
		err = p.err
	case <-ctx.Done():
		p.Kill()
		err = ctx.Err()
	}
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", cmd.Path, err, p.Output())
	}
	return p.Output(), err
}

// PID is the program's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output is what the program printed so far, or the end of it.
func (p *Process) Output() string { return p.out.String() }

// Exited is closed when the program has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Kill ends the program at once and waits for that.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.exited
}

// Stop asks the program to end and waits. It returns what the program's end
// says: nil for exit code 0. A program that takes too long is killed.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(os.Interrupt) // it may have ended already
	select {
	case <-p.exited:
		return p.err
	case <-time.After(stopTime):
		p.Kill()
		return fmt.Errorf("%s did not end within %s: %s", p.cmd.Path, stopTime, p.Output())
	}
}

// output keeps the end of what is written to it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(b)
	if over := o.buf.Len() - outputMax; over > 0 {
		o.buf.Next(over)
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
