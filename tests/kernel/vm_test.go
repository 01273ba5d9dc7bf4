package kernel

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"vdi-gateway/tests/lab"
)

const vmPort = 7000

// helloMagic begins the first word of a client, so that a stranger's shows.
const helloMagic = 0x76646969

// vmHost is a machine on which VMs of sessions are.
type vmHost struct {
	*lab.Host
	addr netip.AddrPort

	mu       sync.Mutex
	listener *net.TCPListener
	waiting  map[uint32]chan *net.TCPConn // by the number of the session
	strange  []string                     // who else came, and said something
}

func (r *rig) newVMHost(h *lab.Host, addr netip.Addr) *vmHost {
	r.t.Helper()
	v := &vmHost{Host: h, addr: netip.AddrPortFrom(addr, vmPort), waiting: map[uint32]chan *net.TCPConn{}}
	r.try(v.serve())
	r.t.Cleanup(v.stop)
	return v
}

// serve begins to take connections.
func (v *vmHost) serve() error {
	l, err := v.Listen(v.addr.String())
	if err != nil {
		return err
	}
	v.mu.Lock()
	v.listener = l
	v.mu.Unlock()
	go func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			go v.greet(c)
		}
	}()
	return nil
}

// stop takes no more connections.
func (v *vmHost) stop() {
	v.mu.Lock()
	defer v.mu.Unlock()
	_ = v.listener.Close()
}

// greet finds out whose connection it is. The gateway looks whether a VM is there by one
// on which nothing is said.
func (v *vmHost) greet(c *net.TCPConn) {
	var hello [8]byte
	_ = c.SetReadDeadline(time.Now().Add(patience))
	n, err := io.ReadFull(c, hello[:])
	_ = c.SetReadDeadline(time.Time{})
	v.mu.Lock()
	defer v.mu.Unlock()
	number := binary.BigEndian.Uint32(hello[4:])
	if waiting := v.waiting[number]; err == nil && waiting != nil && binary.BigEndian.Uint32(hello[:]) == helloMagic {
		delete(v.waiting, number)
		waiting <- c
		return
	}
	if n > 0 || err == nil || !errors.Is(err, io.EOF) {
		v.strange = append(v.strange, c.RemoteAddr().String())
	}
	_ = c.Close()
}

// expect tells of a session that will come.
func (v *vmHost) expect(number int) <-chan *net.TCPConn {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := make(chan *net.TCPConn, 1)
	v.waiting[uint32(number)] = c
	return c
}

// strangers are who came without having been expected.
func (v *vmHost) strangers() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.strange
}

// hello is the first word of a client.
func hello(number int) []byte {
	b := binary.BigEndian.AppendUint32(nil, helloMagic)
	return binary.BigEndian.AppendUint32(b, uint32(number))
}
