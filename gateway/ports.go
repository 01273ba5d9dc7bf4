package gateway

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// acceptPause is how long an accept loop waits when the process has run out
// of descriptors, so that it does not spin.
const acceptPause = 100 * time.Millisecond

// ports holds the listening sockets of the range. A port is bound while at
// least one client is allowed on it, and open to those clients alone.
type ports struct {
	accept func(conn *net.TCPConn, port uint16) // takes conn over; must not block
	log    logrus.FieldLogger
	wg     sync.WaitGroup // accept loops

	mu       sync.Mutex
	addrs    []netip.Addr
	freebind bool
	closed   bool
	open     map[uint16]*port
}

func newPorts(accept func(*net.TCPConn, uint16), log logrus.FieldLogger) *ports {
	return &ports{accept: accept, log: log, open: map[uint16]*port{}}
}

// allow opens the port to client, who can connect from the moment it returns.
// Calls are counted: as many revokes close it again.
func (p *ports) allow(number uint16, client netip.Addr) error {
	o, err := p.add(number, client)
	if err != nil {
		return err
	}
	if err := p.settle(o); err != nil {
		p.revoke(slot{client, number})
		return err
	}
	return nil
}

// add counts the client among those of the port, which is bound when it was
// not.
func (p *ports) add(number uint16, client netip.Addr) (*port, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, net.ErrClosed
	}
	o := p.open[number]
	if o == nil {
		o = newPort(number, client)
		if err := p.bind(o, p.addrs); err != nil {
			return nil, err
		}
		p.open[number] = o
		return o, nil
	}
	o.add(client)
	return o, nil
}

// revoke undoes one allow of each slot. Connections already accepted are not
// touched.
func (p *ports) revoke(slots ...slot) {
	for o := range p.remove(slots) {
		if err := p.settle(o); err != nil {
			// The former client reaches accept, which refuses it there.
			p.log.WithError(err).WithField("port", o.number).Warn("a range port keeps its former filter")
		}
	}
}

// remove counts the slots' clients out, closes the ports that have none left
// and returns those whose filter lets too many pass now.
func (p *ports) remove(slots []slot) map[*port]struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	wide := map[*port]struct{}{}
	for _, s := range slots {
		o := p.open[s.port]
		if o == nil || !o.remove(s.client) {
			continue
		}
		wide[o] = struct{}{}
		if len(o.clients) == 0 {
			delete(p.open, s.port)
			delete(wide, o)
			o.close()
		}
	}
	return wide
}

// settle returns when the filters of o are as its clients were at the call, or
// newer. Many callers share one change of the filter: it takes a system call
// that must not be made under the lock by one after the other.
func (p *ports) settle(o *port) error {
	p.mu.Lock()
	wanted := o.changes
	p.mu.Unlock()
	o.filtering.Lock()
	defer o.filtering.Unlock()
	if o.settled >= wanted {
		return nil
	}
	p.mu.Lock()
	wanted, clients, listeners := o.changes, o.allowed(), maps.Clone(o.listeners)
	p.mu.Unlock()
	for addr, l := range listeners {
		// One that was closed meanwhile needs no filter.
		if err := filterListener(l, addr, clients); err != nil && !errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("filter of port %d on %s: %w", o.number, addr, err)
		}
	}
	o.settled = wanted
	return nil
}

// rebind moves every open port to addrs: what is new is bound before what is
// gone is closed. An error leaves everything as it was.
func (p *ports) rebind(addrs []netip.Addr, freebind bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	was, wasFreebind := p.addrs, p.freebind
	p.addrs, p.freebind = addrs, freebind
	var moved []*port
	for _, o := range p.open {
		if err := p.bind(o, addrs); err != nil {
			for _, m := range moved {
				m.closeBut(was)
			}
			p.addrs, p.freebind = was, wasFreebind
			return err
		}
		moved = append(moved, o)
	}
	for _, o := range moved {
		o.closeBut(addrs)
	}
	return nil
}

// bind adds the listeners that o lacks on addrs, all or none.
func (p *ports) bind(o *port, addrs []netip.Addr) error {
	var added []netip.Addr
	for _, a := range addrs {
		if o.listeners[a] != nil {
			continue
		}
		l, err := listen(netip.AddrPortFrom(a, o.number), p.freebind, o.allowed())
		if err != nil {
			for _, b := range added {
				_ = o.listeners[b].Close()
				delete(o.listeners, b)
			}
			return err
		}
		o.listeners[a] = l
		added = append(added, a)
	}
	for _, a := range added {
		p.serve(o.listeners[a], o.number)
	}
	return nil
}

func (p *ports) serve(l *net.TCPListener, number uint16) {
	p.wg.Go(func() {
		acceptLoop(l, p.log, func(c *net.TCPConn) {
			_ = dropFilter(c) // fails only when the client has gone
			p.accept(c, number)
		})
	})
}

// close closes every port and waits for the accept loops.
func (p *ports) close() {
	p.mu.Lock()
	p.closed = true
	for n, o := range p.open {
		delete(p.open, n)
		o.close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

// acceptLoop hands connections of l to each until l is closed.
func acceptLoop(l *net.TCPListener, log logrus.FieldLogger, each func(*net.TCPConn)) {
	var warned time.Time
	for {
		c, err := l.AcceptTCP()
		if err == nil {
			each(c)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if time.Since(warned) > time.Minute {
			warned = time.Now()
			log.WithError(err).WithField("listener", l.Addr().String()).
				Error("cannot accept connections; raise the descriptor limit (LimitNOFILE=) if it says too many open files")
		}
		time.Sleep(acceptPause)
	}
}
