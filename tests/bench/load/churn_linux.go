package load

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// churner connects, exchanges one byte, closes and connects again.
type churner struct {
	job    Job
	poll   *poll
	wrote  []bool // by descriptor: the byte is on its way
	number int    // of the next connection
	done   int64
	buf    []byte
}

func churn(job Job, p *parent) (Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := &churner{job: job, buf: []byte{wantEcho}}
	var err error
	if c.poll, err = newPoll(); err != nil {
		return Result{}, err
	}
	for range job.Conns {
		if err := c.open(); err != nil {
			return Result{}, err
		}
	}
	if err := c.until(time.Now().Add(job.Warm)); err != nil {
		return Result{}, err
	}
	start, before := time.Now(), c.done
	if err := p.begin(); err != nil {
		return Result{}, err
	}
	if err := c.until(start.Add(job.Last)); err != nil {
		return Result{}, err
	}
	return Result{Time: time.Since(start), Conns: c.done - before}, nil
}

func (c *churner) open() error {
	fd, err := connect(c.job, c.number, unix.SOCK_NONBLOCK)
	if err != nil {
		return err
	}
	c.number++
	for fd >= len(c.wrote) {
		c.wrote = append(c.wrote, false)
	}
	c.wrote[fd] = false
	return c.poll.add(fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLET&0xffffffff)
}

func (c *churner) until(end time.Time) error {
	for time.Now().Before(end) {
		events, err := c.poll.wait(patience)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			return fmt.Errorf("no connection made progress for %s", patience)
		}
		for _, e := range events {
			if err := c.ready(int(e.Fd), e.Events); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *churner) ready(fd int, what uint32) error {
	if !c.wrote[fd] {
		c.wrote[fd] = true
		if _, err := unix.Write(fd, c.buf); err != nil {
			return fmt.Errorf("connection %d: %w", c.number, err)
		}
	}
	if what&unix.EPOLLIN == 0 {
		return nil
	}
	if n, err := unix.Read(fd, c.buf); err != nil || n == 0 {
		return fmt.Errorf("connection %d: its byte did not come back: %w", c.number, err)
	}
	c.done++
	if err := unix.Close(fd); err != nil {
		return err
	}
	return c.open()
}

// hold opens connections and keeps them while the parent looks at them.
func hold(job Job, p *parent) (Result, error) {
	start := time.Now()
	in := make([]byte, 1)
	for i := range job.Conns {
		fd, err := blocking(job, i) // closed with the process
		if err != nil {
			return Result{}, fmt.Errorf("connection %d: %w", i, err)
		}
		if err := exchange(fd, []byte{wantEcho}, in); err != nil {
			return Result{}, fmt.Errorf("connection %d: %w", i, err)
		}
	}
	if err := p.begin(); err != nil {
		return Result{}, err
	}
	p.wait()
	return Result{Time: time.Since(start), Conns: int64(job.Conns)}, nil
}
