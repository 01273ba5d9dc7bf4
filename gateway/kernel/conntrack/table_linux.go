package conntrack

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	// batchMax is how many messages go by one write: enough that the write costs nothing
	// beside them, and few enough that the answers fit into the smallest buffer.
	batchMax = 128
	// getMax is the same where the kernel answers each with an entry, for which it takes a
	// page.
	getMax = 32
	// answerBuffer is what the kernel gets to queue answers in.
	answerBuffer = 4 << 20
	// readSize is what one read takes; the kernel fills up to 32 KiB when it dumps.
	readSize = 64 << 10
	// answerTime bounds one wait for the kernel. It answers within the write; nobody waits
	// that long.
	answerTime = 5
)

// Table is a connection to the conntrack of a network namespace. Its methods may be called
// by several goroutines; they take turns.
type Table struct {
	port uint32 // its name among netlink sockets

	mu       sync.Mutex
	fd       int // -1 once closed
	sequence uint32
	out      writer
	in       []byte
}

// Open connects to the conntrack of the calling thread's network namespace. It asks
// nothing yet: whether this kernel and this process can do what it takes, Check tells.
// The caller closes it.
func Open() (*Table, error) {
	fd, port, err := openSocket(0)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	setBuffer(fd, answerBuffer)
	// What failed need not be sent back.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	return &Table{port: port, fd: fd, in: make([]byte, readSize)}, nil
}

// Port is the name of the socket that makes the changes: events of them carry it.
func (t *Table) Port() uint32 { return t.port }

// Close gives the socket up. It waits for a call that is under way.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	fd := t.fd
	t.fd = -1
	if fd < 0 {
		return nil
	}
	return unix.Close(fd)
}

// openSocket makes a socket to conntrack, for groups as bits, and tells its port.
func openSocket(flags int) (fd int, port uint32, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|flags, unix.NETLINK_NETFILTER)
	if err != nil {
		return -1, 0, err
	}
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: answerTime}),
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
	if err == nil {
		var name unix.Sockaddr
		name, err = unix.Getsockname(fd)
		if own, ok := name.(*unix.SockaddrNetlink); ok {
			return fd, own.Pid, nil
		}
	}
	_ = unix.Close(fd) // it was never used
	return -1, 0, err
}

// setBuffer asks for a receive buffer and tells what it got. Beyond net.core.rmem_max it
// takes CAP_NET_ADMIN in the first user namespace.
func setBuffer(fd, size int) int {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size)
	}
	got, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	return got / 2 // the kernel doubles it, for what it needs beside the data
}

// request is many messages of a kind and what becomes of their answers. write and failed
// get the index of a message; an errno of 0 is never reported.
type request struct {
	count, batch int
	write        func(w *writer, i int, flags uint16, sequence uint32)
	failed       func(i int, errno unix.Errno)
	entry        func(i int, f Flow) // may be nil
}

// ask sends the messages in batches and hands their answers out. A batch whose answers got
// lost is sent again, smaller: every request here may be made twice.
func (t *Table) ask(ctx context.Context, r request) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fd < 0 {
		return unix.EBADF
	}
	size := r.batch
	for from := 0; from < r.count; {
		if err := ctx.Err(); err != nil {
			return err
		}
		to := min(from+size, r.count)
		err := t.askBatch(r, from, to)
		if errors.Is(err, unix.ENOBUFS) && size > 1 {
			size /= 2
			continue
		}
		if err != nil {
			return err
		}
		from = to
	}
	return nil
}

func (t *Table) askBatch(r request, from, to int) error {
	t.out.buf = t.out.buf[:0]
	first := t.sequence + 1
	for i := from; i < to; i++ {
		t.sequence++
		flags := uint16(0)
		if i == to-1 {
			flags = flagAck
		}
		r.write(&t.out, i, flags, t.sequence)
	}
	if err := t.send(); err != nil {
		return err
	}
	return t.answers(func(m message) (done bool, err error) {
		i := m.sequence - first // wraps around with the sequence
		if i >= uint32(to-from) {
			return false, nil // of a batch that was given up
		}
		return r.take(m, from+int(i), m.sequence == t.sequence)
	})
}

// take hands one answer out; done is true when it was the last.
func (r request) take(m message, i int, last bool) (done bool, err error) {
	switch {
	case m.kind == typeError:
		code, err := m.code()
		if code != 0 && err == nil {
			r.failed(i, unix.Errno(-code))
		}
		return last, err
	case m.kind == msgNew && r.entry != nil:
		f, ours, err := parseFlow(m.body)
		if ours && err == nil {
			r.entry(i, f)
		}
		return false, err
	}
	return false, nil
}

// send writes what is in out. When it returns the kernel has done it.
func (t *Table) send() error {
	err := retry(func() error {
		return unix.Sendto(t.fd, t.out.buf, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	})
	if err != nil {
		return fmt.Errorf("ask conntrack: %w", err)
	}
	return nil
}

// answers reads until take says that it has all, or fails. Then nothing is left to read.
func (t *Table) answers(take func(message) (done bool, err error)) error {
	for {
		done, err := t.answer(0, take)
		if err != nil {
			t.drain()
			return err
		}
		if done {
			return nil
		}
	}
}

// answer reads one datagram, to its end or to what take does not take.
func (t *Table) answer(flags int, take func(message) (done bool, err error)) (done bool, err error) {
	n := 0
	err = retry(func() (err error) {
		n, _, err = unix.Recvfrom(t.fd, t.in, flags)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("hear from conntrack: %w", err)
	}
	for b := t.in[:n]; ; {
		m, rest, ok, err := nextMessage(b)
		if !ok || err != nil {
			return done, err
		}
		last, err := take(m)
		if err != nil {
			return false, err
		}
		done, b = done || last, rest
	}
}

// drain reads what is left of an exchange that failed: a dump goes on until it has been
// read, and once answers were lost the kernel queues none before all have been read.
func (t *Table) drain() {
	all := func(message) (bool, error) { return false, nil }
	for {
		_, err := t.answer(unix.MSG_DONTWAIT, all)
		if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, unix.ENOBUFS) {
			return
		}
	}
}

func retry(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
