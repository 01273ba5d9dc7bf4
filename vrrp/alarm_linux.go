package vrrp

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// kernelAlarm is an alarm that is not rounded to milliseconds, as the runtime's own
// timers are while a process has nothing to do.
type kernelAlarm struct {
	file *os.File
	fd   int
	c    chan struct{}
}

func newKernelAlarm() (*kernelAlarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("vrrp: make a timer: %w", err)
	}
	return &kernelAlarm{file: os.NewFile(uintptr(fd), "vrrp timer"), fd: fd, c: make(chan struct{}, 1)}, nil
}

// run passes expiries on until the alarm is closed.
func (a *kernelAlarm) run() {
	var count [8]byte
	for {
		if _, err := a.file.Read(count[:]); err != nil {
			return
		}
		select {
		case a.c <- struct{}{}:
		default:
		}
	}
}

// set has the alarm go off once after a while, instead of what was set before.
func (a *kernelAlarm) set(after time.Duration) {
	// 0 would switch it off. It fails for a closed one only.
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(after, 1)))}
	_ = unix.TimerfdSettime(a.fd, 0, &spec, nil)
}

func (a *kernelAlarm) rings() <-chan struct{} { return a.c }

func (a *kernelAlarm) close() { _ = a.file.Close() } // nothing was written
