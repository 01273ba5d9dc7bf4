package peer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU is the processor time that the relay's processes have used, in user and
// system mode.
func (r *Relay) CPU() (time.Duration, error) {
	return sum(r.process.PID(), func(pid int) (time.Duration, error) {
		var t unix.Timespec
		// The clock of a process: its number's complement above three bits
		// that say "scheduler's time, of a whole process".
		if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
			return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
		}
		return time.Duration(t.Nano()), nil
	})
}

// Memory is the resident memory of the relay's processes in bytes.
func (r *Relay) Memory() (int64, error) { return r.rollup("Rss:") }

// Share is the memory of the relay's processes in bytes, in which a page that
// several processes have counts once in all (PSS): those of a program that forks
// have most of their pages in common.
func (r *Relay) Share() (int64, error) { return r.rollup("Pss:") }

func (r *Relay) rollup(name string) (int64, error) {
	return sum(r.process.PID(), func(pid int) (int64, error) {
		text, err := os.ReadFile(proc(pid, "smaps_rollup"))
		if err != nil {
			return 0, err
		}
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			if f := strings.Fields(lines.Text()); len(f) == 3 && f[0] == name {
				kb, err := strconv.ParseInt(f[1], 10, 64)
				return kb << 10, err
			}
		}
		return 0, fmt.Errorf("%s does not tell %s", proc(pid, "smaps_rollup"), name)
	})
}

// Processes is how many processes the relay has, those it forked included.
func (r *Relay) Processes() (int, error) {
	return sum(r.process.PID(), func(int) (int, error) { return 1, nil })
}

// Descriptors is how many file descriptors the relay's processes have open.
func (r *Relay) Descriptors() (int, error) {
	return sum(r.process.PID(), func(pid int) (int, error) {
		list, err := os.ReadDir(proc(pid, "fd"))
		return len(list), err
	})
}

func proc(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}

// sum adds what a process and its children, such as nginx's workers, have.
func sum[N int | int64 | time.Duration](pid int, of func(pid int) (N, error)) (total N, err error) {
	if total, err = of(pid); err != nil {
		return total, err
	}
	tasks, err := os.ReadDir(proc(pid, "task"))
	if err != nil {
		return total, err
	}
	for _, task := range tasks {
		// A thread that has ended meanwhile has no children.
		text, _ := os.ReadFile(proc(pid, filepath.Join("task", task.Name(), "children")))
		for _, child := range strings.Fields(string(text)) {
			number, err := strconv.Atoi(child)
			if err != nil {
				return total, err
			}
			more, err := sum(number, of)
			if err != nil && !gone(err) {
				return total, err
			}
			total += more
		}
	}
	return total, nil
}

// gone tells whether err is what one gets of a process that has ended. A child
// that a connection had may do so at any time.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL)
}
