package load

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// backlog is how many connections may wait to be accepted.
const backlog = 8192

// server is one epoll loop that sends small messages back, and hands what is
// more to goroutines.
type server struct {
	poll     *poll
	listener int
	fresh    []bool // by descriptor: the first byte is still to come
	buf      []byte
	page     int // the file that bulk data comes from
	judge    *judge
}

// serve runs until the process is ended.
func serve(job Job, p *parent) (Result, error) {
	s := &server{buf: make([]byte, 64<<10), judge: newJudge()}
	if err := s.listen(job); err != nil {
		return Result{}, err
	}
	if err := p.begin(); err != nil {
		return Result{}, err
	}
	for {
		events, err := s.poll.wait(patience)
		if err != nil {
			return Result{}, err
		}
		for _, e := range events {
			if fd := int(e.Fd); fd == s.listener {
				s.accept()
			} else {
				s.ready(fd)
			}
		}
	}
}

func (s *server) listen(job Job) (err error) {
	if s.page, err = bulkFile(); err != nil {
		return err
	}
	if s.poll, err = newPoll(); err != nil {
		return err
	}
	if s.listener, err = socket(job.Addr.Addr(), unix.SOCK_NONBLOCK); err != nil {
		return err
	}
	_ = unix.SetsockoptInt(s.listener, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) // bind tells
	if err := unix.Bind(s.listener, sockaddr(job.Addr)); err != nil {
		return fmt.Errorf("bind %s: %w", job.Addr, err)
	}
	if err := unix.Listen(s.listener, backlog); err != nil {
		return err
	}
	return s.poll.add(s.listener, unix.EPOLLIN)
}

func (s *server) accept() {
	for {
		fd, _, err := unix.Accept4(s.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return // no more, or gone again
		}
		for fd >= len(s.fresh) {
			s.fresh = append(s.fresh, false)
		}
		s.fresh[fd] = true
		if s.poll.add(fd, unix.EPOLLIN) != nil {
			_ = unix.Close(fd)
		}
	}
}

// ready sends back what came, or does what the first byte asks for.
func (s *server) ready(fd int) {
	buf := s.buf
	if s.fresh[fd] {
		buf = buf[:1]
	}
	n, err := unix.Read(fd, buf)
	switch {
	case errors.Is(err, unix.EAGAIN):
	case err != nil, n == 0:
		_ = unix.Close(fd)
	case s.fresh[fd] && buf[0] != wantEcho:
		s.handOver(fd, buf[0])
	default:
		s.fresh[fd] = false
		if sent, err := unix.Write(fd, buf[:n]); err != nil || sent < n {
			_ = unix.Close(fd)
		}
	}
}

// handOver takes a connection out of the loop.
func (s *server) handOver(fd int, want byte) {
	_ = unix.EpollCtl(s.poll.fd, unix.EPOLL_CTL_DEL, fd, nil) // an error shows in use
	switch want {
	case wantBulk:
		go sendBulk(fd, s.page)
	case wantStream, wantReport, wantWhole:
		go s.answer(fd, want)
	default:
		_ = unix.Close(fd)
	}
}

func (s *server) answer(fd int, want byte) {
	f := os.NewFile(uintptr(fd), "connection")
	conn, err := net.FileConn(f)
	_ = f.Close() // conn has one of its own
	if err != nil {
		return
	}
	defer conn.Close()
	switch want {
	case wantReport:
		s.judge.report(conn)
	case wantWhole:
		whole(conn)
	default:
		s.judge.stream(conn.(*net.TCPConn))
	}
}
