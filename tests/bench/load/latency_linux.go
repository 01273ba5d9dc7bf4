package load

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"vdi-gateway/tests/bench/figure"
)

// messageBytes is the size of a small message: a key or a movement of a mouse
// is about that.
const messageBytes = 64

func message() []byte { return bytes.Repeat([]byte{wantEcho}, messageBytes) }

// latencies collects times there and back once the warm-up is over.
type latencies struct {
	parent *parent
	begin  time.Time // of the measured time
	end    time.Time
	all    []time.Duration
}

func newLatencies(job Job, p *parent) *latencies {
	begin := time.Now().Add(job.Warm)
	return &latencies{parent: p, begin: begin, end: begin.Add(job.Last), all: make([]time.Duration, 0, 1<<20)}
}

// add notes a message that was sent and is back now; false: it was the last.
func (l *latencies) add(sent, now time.Time) bool {
	if sent.After(l.begin) {
		l.all = append(l.all, now.Sub(sent))
	}
	return now.Before(l.end)
}

func (l *latencies) result() (Result, error) {
	if len(l.all) == 0 {
		return Result{}, errors.New("no message came back")
	}
	return Result{Time: l.end.Sub(l.begin), P50: figure.Percentile(l.all, 0.5), P99: figure.Percentile(l.all, 0.99)}, nil
}

// ping measures one connection.
func ping(job Job, p *parent) (Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd, err := blocking(job, 0)
	if err != nil {
		return Result{}, err
	}
	defer unix.Close(fd) //nolint:errcheck // it was read to its end
	out, in := message(), make([]byte, messageBytes)
	for l := newLatencies(job, p); ; {
		sent := time.Now()
		if err := exchange(fd, out, in); err != nil {
			return Result{}, err
		}
		if !l.add(sent, time.Now()) {
			return l.result()
		}
	}
}

// pacer sends on its connections in turn, at the pace of a timer.
type pacer struct {
	*latencies
	poll  *poll
	timer int
	conns []int
	sent  []time.Time // by descriptor; zero: nothing is on its way
	got   []int       // by descriptor: bytes of the answer
	turn  int
	buf   []byte
	out   []byte
}

// pace measures many connections that have little to say.
func pace(job Job, p *parent) (Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := &pacer{buf: make([]byte, messageBytes), out: message()}
	if err := c.connect(job); err != nil {
		return Result{}, err
	}
	if err := c.start(time.Second / time.Duration(job.Rate)); err != nil {
		return Result{}, err
	}
	c.latencies = newLatencies(job, p)
	for time.Now().Before(c.end) {
		events, err := c.poll.wait(patience)
		if err != nil {
			return Result{}, err
		}
		for _, e := range events {
			if err := c.ready(int(e.Fd)); err != nil {
				return Result{}, err
			}
		}
	}
	return c.result()
}

func (c *pacer) connect(job Job) (err error) {
	if c.poll, err = newPoll(); err != nil {
		return err
	}
	for i := range job.Conns {
		fd, err := blocking(job, i)
		if err != nil {
			return err
		}
		c.conns = append(c.conns, fd)
		if err := c.poll.add(fd, unix.EPOLLIN); err != nil {
			return err
		}
	}
	last := c.conns[len(c.conns)-1]
	c.sent, c.got = make([]time.Time, last+1), make([]int, last+1)
	return nil
}

func (c *pacer) start(every time.Duration) (err error) {
	if c.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC); err != nil {
		return err
	}
	tick := unix.NsecToTimespec(int64(every))
	if err := unix.TimerfdSettime(c.timer, 0, &unix.ItimerSpec{Interval: tick, Value: tick}, nil); err != nil {
		return err
	}
	return c.poll.add(c.timer, unix.EPOLLIN)
}

func (c *pacer) ready(fd int) error {
	if fd == c.timer {
		_, err := unix.Read(fd, c.buf[:8]) // ticks that were missed are not made up for
		if err != nil {
			return err
		}
		return c.send()
	}
	n, err := unix.Read(fd, c.buf)
	if err != nil || n == 0 {
		return fmt.Errorf("a connection ended early: %w", err)
	}
	if c.got[fd] += n; c.got[fd] == messageBytes {
		c.add(c.sent[fd], time.Now())
		c.got[fd], c.sent[fd] = 0, time.Time{}
	}
	return nil
}

// send sends on the next connection that is not waiting for an answer.
func (c *pacer) send() error {
	fd := c.conns[c.turn%len(c.conns)]
	c.turn++
	if !c.sent[fd].IsZero() {
		return nil // its answer takes longer than a turn, and is noted when it comes
	}
	c.sent[fd] = time.Now()
	_, err := unix.Write(fd, c.out)
	return err
}
