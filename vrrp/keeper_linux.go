package vrrp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// guardPause is the least time between two starts of a guard; it doubles up to
	// retryAfter while none of them ever answers.
	guardPause = 100 * time.Millisecond
	// superviseEvery is how often a guard's silence is noticed.
	superviseEvery = 10 * time.Millisecond
	// writeTime bounds the handing over of an order: the pipe of a guard that does not
	// read is full sometime.
	writeTime = 5 * time.Millisecond
	// guardNice is a higher priority than that of ordinary processes.
	guardNice = -15
	// exitTime is how long a guard may take to end by itself.
	exitTime = time.Second
)

// kernelKeeper keeps one guard running: it starts another when that one has ended or
// does not answer. The new one takes the addresses over while they live.
type kernelKeeper struct {
	command []string
	out     chan report
	needed  chan struct{} // closed by the first order with addresses
	once    sync.Once

	mu     sync.Mutex
	pipe   *os.File // nil: no guard runs
	answer deadline
}

func newKernelKeeper(command []string) *kernelKeeper {
	return &kernelKeeper{command: command, out: make(chan report, 64), needed: make(chan struct{})}
}

func (k *kernelKeeper) reports() <-chan report { return k.out }

// order passes an order on, if there is a guard: it is said again soon.
func (k *kernelKeeper) order(o order) {
	if len(o.Places) > 0 {
		k.once.Do(func() { close(k.needed) })
	}
	o.At = uptime()
	text, err := json.Marshal(o)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil || k.pipe == nil {
		return
	}
	k.answer = k.answer.asked(o, time.Now())
	_ = k.pipe.SetWriteDeadline(time.Now().Add(writeTime))
	_, _ = k.pipe.Write(append(text, '\n')) // one that cannot read is replaced
}

// run keeps a guard running, once there is something to guard, until ctx is done; then
// it lets it end.
func (k *kernelKeeper) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-k.needed:
	}
	for gap := guardPause; ctx.Err() == nil; {
		began := time.Now()
		err := k.watch(ctx)
		if gap = min(2*gap, retryAfter); !k.young() {
			gap = guardPause
		}
		if ctx.Err() == nil {
			k.tell(report{Died: fmt.Sprint(err)})
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(began.Add(gap))):
		}
	}
}

// tell passes a report on; nobody waits for one that is late.
func (k *kernelKeeper) tell(r report) {
	select {
	case k.out <- r:
	default:
	}
}

// watch runs one guard to its end.
func (k *kernelKeeper) watch(ctx context.Context) error {
	cmd := exec.Command(k.command[0], k.command[1:]...) //nolint:gosec,noctx // this program; its end comes by its pipe
	cmd.Stderr = os.Stderr
	// Of its own group, so that a Ctrl-C for the process is not for the guard.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, out, theirs, err := pipes(cmd)
	if err != nil {
		return err
	}
	err = cmd.Start()
	theirs()
	if err != nil {
		return errors.Join(err, in.Close(), out.Close())
	}
	_ = unix.Setpriority(unix.PRIO_PGRP, cmd.Process.Pid, guardNice) // without the right it is as others are
	k.begin(in)
	k.tell(report{Started: true})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		k.read(out)
	}()
	k.supervise(ctx, cmd, ended)
	k.end()
	_ = in.Close()
	return finish(cmd, ended)
}

// pipes are those to and from the guard; theirs closes the guard's ends.
func pipes(cmd *exec.Cmd) (in, out *os.File, theirs func(), err error) {
	r, in, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}
	out, w, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, errors.Join(err, r.Close(), in.Close())
	}
	cmd.Stdin, cmd.Stdout = r, w
	return in, out, func() { _, _ = r.Close(), w.Close() }, nil
}

func (k *kernelKeeper) begin(in *os.File) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pipe, k.answer = in, deadline{young: true}
}

func (k *kernelKeeper) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pipe = nil
}

// read passes the guard's reports on.
func (k *kernelKeeper) read(out *os.File) {
	defer out.Close()
	d := json.NewDecoder(out)
	for {
		var r report
		if d.Decode(&r) != nil {
			return
		}
		k.mu.Lock()
		k.answer = deadline{held: r.Held}
		k.mu.Unlock()
		k.tell(r)
	}
}

// supervise returns when the guard has ended, is to end, or was killed because it did
// not answer.
func (k *kernelKeeper) supervise(ctx context.Context, cmd *exec.Cmd, ended <-chan struct{}) {
	tick := time.NewTicker(superviseEvery)
	defer tick.Stop()
	for late := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-ended:
			return
		case now := <-tick.C:
			// Twice: this process may have been late itself, with the answer unread.
			if late++; !k.silent(now) {
				late = 0
			}
			if late == 2 {
				_ = cmd.Process.Kill() // it may have ended
				return
			}
		}
	}
}

// young tells whether the guard has never answered.
func (k *kernelKeeper) young() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.answer.young
}

func (k *kernelKeeper) silent(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.answer.passed(now)
}

// finish waits for the guard's end, which its closed pipe brings about.
func finish(cmd *exec.Cmd, ended <-chan struct{}) error {
	late := time.AfterFunc(exitTime, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	<-ended
	return cmd.Wait()
}
