package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"vdi-gateway/tests/lab"
)

const (
	pulsePort  = 7
	pulseEvery = time.Millisecond
	// pulseThreads is how many threads may run Go code at once: with one for each
	// processor, those of the pulse would have to wait for others.
	pulseThreads = 16
)

// pulse is a client that sends a numbered datagram to the virtual address every
// millisecond, and servers that send them back from there. All have threads of their
// own: one that waits for others would be taken for an outage.
type pulse struct {
	client  int
	servers []int
	stop    chan struct{}
	threads sync.WaitGroup

	sent atomic.Uint64

	mu      sync.Mutex
	answers []answer // in the order of arrival
	seen    map[uint64]bool
	late    map[uint64]time.Duration // of datagrams that were sent much too late
	wrong   error
}

// startPulse starts servers on hosts and a client that asks for virtual.
func startPulse(client *lab.Host, hosts []*lab.Host, virtual netip.Addr) (*pulse, error) {
	p := &pulse{stop: make(chan struct{}), seen: map[uint64]bool{}, late: map[uint64]time.Duration{}}
	for _, h := range hosts {
		fd, err := socketOn(h, unix.SOCK_DGRAM, 0, unix.IPPROTO_IP, unix.IP_PKTINFO)
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.servers = append(p.servers, fd)
		if err := unix.Bind(fd, &unix.SockaddrInet4{Port: pulsePort}); err != nil {
			return nil, errors.Join(fmt.Errorf("bind to port %d: %w", pulsePort, err), p.close())
		}
		p.thread(func() { p.serve(fd) })
	}
	fd, err := stampedSocket(client, unix.SOCK_DGRAM, 0)
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.client = fd
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: virtual.As4(), Port: pulsePort}); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to %s: %w", virtual, err), p.close())
	}
	p.thread(func() { p.send(fd) })
	p.thread(func() { p.receive(fd) })
	return p, nil
}

// thread runs f until the pulse is closed, at once whenever it has something to do.
func (p *pulse) thread(f func()) {
	p.threads.Go(func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its goroutine
		urgent := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
		_ = unix.SchedSetAttr(0, &urgent, 0) // without the right it is as others are, and late more often
		f()
	})
}

func (p *pulse) over() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

// close ends it.
func (p *pulse) close() error {
	close(p.stop)
	p.threads.Wait()
	for _, fd := range append(p.servers, p.client) {
		if fd > 0 {
			_ = unix.Close(fd)
		}
	}
	return p.wrong
}

// serve sends back what comes, from the address that it was sent to.
func (p *pulse) serve(fd int) {
	data, control := make([]byte, 64), make([]byte, 64)
	for !p.over() {
		n, c, _, from, err := unix.Recvmsg(fd, data, control, 0)
		if err != nil {
			continue
		}
		messages, err := unix.ParseSocketControlMessage(control[:c])
		if err != nil || len(messages) != 1 {
			continue
		}
		to := messages[0].Data // struct in_pktinfo: interface, address to answer from, address asked
		answer := unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: [4]byte(to[8:12])})
		_ = unix.Sendmsg(fd, data[:n], answer, from, 0) // an address that went away meanwhile
	}
}

// send keeps time by the clock: after a delay it goes on, and does not catch up.
func (p *pulse) send(fd int) {
	next := monotonic()
	for number := uint64(1); !p.over(); number++ {
		next += pulseEvery
		sleepUntil(next)
		late := monotonic() - next
		if late > stallMax {
			p.noteLate(number, late)
		}
		next += late.Truncate(pulseEvery)
		p.sent.Store(number)
		_, _ = unix.Write(fd, binary.BigEndian.AppendUint64(nil, number)) // nobody may have the address
	}
}

// receive notes when answers came.
func (p *pulse) receive(fd int) {
	data := make([]byte, 64)
	for !p.over() {
		n, at, err := receiveStamped(fd, data)
		if err == nil && n == 8 { // else nothing came, or word that nobody has the address
			p.note(binary.BigEndian.Uint64(data), at)
		}
	}
}
