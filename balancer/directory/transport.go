package directory

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	maxPacket  = 2048     // bytes; memberlist sends 1400
	maxStream  = 64 << 10 // bytes read of one; 16 members take 16 KiB
	maxStreams = 32       // at a time
)

// transport is memberlist's way to the wire. Other than memberlist's own it
// listens to peers only and bounds what they send, before anything is read.
type transport struct {
	own     netip.AddrPort
	trusts  func(netip.Addr) bool
	refused *atomic.Uint64
	tcp     *net.TCPListener
	udp     *net.UDPConn
	packets chan *memberlist.Packet
	streams chan net.Conn
	slots   chan struct{} // one for each open stream
	done    chan struct{}
	closing sync.Once
	running sync.WaitGroup
}

func listen(own netip.AddrPort, trusts func(netip.Addr) bool, refused *atomic.Uint64) (*transport, error) {
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(own))
	if err != nil {
		return nil, fmt.Errorf("bind peers_port: %w", err)
	}
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(own))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bind peers_port: %w", err), tcp.Close())
	}
	return &transport{
		own: own, trusts: trusts, refused: refused, tcp: tcp, udp: udp,
		packets: make(chan *memberlist.Packet), streams: make(chan net.Conn),
		slots: make(chan struct{}, maxStreams), done: make(chan struct{}),
	}, nil
}

func (t *transport) start() {
	t.running.Go(t.readPackets)
	t.running.Go(t.accept)
}

func (t *transport) readPackets() {
	buf := make([]byte, maxPacket+1)
	for {
		n, from, err := t.udp.ReadFromUDPAddrPort(buf)
		switch {
		case err != nil && t.pause():
			return
		case err != nil:
			continue
		case n == 0 || n > maxPacket || !t.trusts(from.Addr().Unmap()):
			t.refused.Add(1)
			continue
		}
		p := &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: net.UDPAddrFromAddrPort(from), Timestamp: time.Now()}
		select {
		case t.packets <- p:
		case <-t.done:
			return
		}
	}
}

func (t *transport) accept() {
	for {
		conn, err := t.tcp.AcceptTCP()
		switch {
		case err != nil && t.pause():
			return
		case err != nil:
			continue
		case !t.admit(conn):
			t.refused.Add(1)
			_ = conn.Close()
			continue
		}
		stream := &stream{Conn: conn, rest: maxStream, slots: t.slots}
		select {
		case t.streams <- stream:
		case <-t.done:
			_ = stream.Close()
			return
		}
	}
}

// admit takes a slot for a peer's stream.
func (t *transport) admit(conn *net.TCPConn) bool {
	from := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	if !t.trusts(from) {
		return false
	}
	select {
	case t.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// pause waits a moment after an error; true: the sockets are closed.
func (t *transport) pause() bool {
	select {
	case <-t.done:
		return true
	case <-time.After(10 * time.Millisecond):
		return false
	}
}

// stream is a connection that yields maxStream bytes at most.
type stream struct {
	net.Conn
	rest   int
	slots  chan struct{}
	closed sync.Once
}

// Read ends with the limit.
func (s *stream) Read(b []byte) (int, error) {
	if s.rest <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := s.Conn.Read(b[:min(len(b), s.rest)])
	s.rest -= n
	return n, err
}

// Close gives the slot back.
func (s *stream) Close() error {
	s.closed.Do(func() { <-s.slots })
	return s.Conn.Close()
}

// FinalAdvertiseAddr is the own address.
func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.own.Addr().AsSlice(), int(t.own.Port()), nil
}

// WriteTo sends a packet.
func (t *transport) WriteTo(b []byte, to string) (time.Time, error) {
	address, err := netip.ParseAddrPort(to)
	if err != nil {
		return time.Time{}, err
	}
	_, err = t.udp.WriteToUDPAddrPort(b, address)
	return time.Now(), err
}

// PacketCh yields packets of peers.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// DialTimeout connects from the own address: the peers look at it.
func (t *transport) DialTimeout(to string, timeout time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(t.own.Addr(), 0))}
	return d.Dial("tcp", to)
}

// StreamCh yields connections of peers.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams }

// Shutdown closes the sockets and waits for the goroutines.
func (t *transport) Shutdown() error {
	t.closing.Do(func() {
		close(t.done)
		_, _ = t.tcp.Close(), t.udp.Close()
	})
	t.running.Wait()
	return nil
}
