package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"vdi-gateway/tests/lab"
)

const (
	// talkPort is where the VM hears who wants to talk.
	talkPort = 7001
	// quietTime is how long words may be on their way when nobody says more.
	quietTime = 4 * time.Second
)

// crowd are sessions that talk, of clients with an address each, to one VM.
type crowd struct {
	clients  *lab.Host
	interval time.Duration
	vm       netip.AddrPort
	listener *net.TCPListener

	mu      sync.Mutex
	waiting map[uint64]chan *net.TCPConn // by the number of the talk
	talks   []*talk
}

func newCrowd(clients, vm *lab.Host, port uint16, interval time.Duration) (*crowd, error) {
	c := &crowd{clients: clients, interval: interval, vm: netip.AddrPortFrom(vm.Addr(), port), waiting: map[uint64]chan *net.TCPConn{}}
	var err error
	if c.listener, err = vm.Listen(c.vm.String()); err != nil {
		return nil, err
	}
	go c.accept()
	return c, nil
}

// accept ends with the listener.
func (c *crowd) accept() {
	for {
		conn, err := c.listener.AcceptTCP()
		if err != nil {
			return
		}
		go c.greet(conn)
	}
}

// greet finds out whose connection it is; of somebody else's nobody hears.
func (c *crowd) greet(conn *net.TCPConn) {
	var hello [8]byte
	_ = conn.SetReadDeadline(time.Now().Add(wireTime))
	_, err := io.ReadFull(conn, hello[:])
	_ = conn.SetReadDeadline(time.Time{})
	c.mu.Lock()
	defer c.mu.Unlock()
	if came := c.waiting[binary.BigEndian.Uint64(hello[:])]; err == nil && came != nil {
		came <- conn
		return
	}
	_ = conn.Close()
}

// expect tells of a talk that will come.
func (c *crowd) expect(number uint64) <-chan *net.TCPConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	came := make(chan *net.TCPConn, 1)
	c.waiting[number] = came
	return came
}

// talk has a session begin. sees: the address that the VM has to see; invalid: any.
func (c *crowd) talk(number uint64, from netip.Addr, to netip.AddrPort, sees netip.Addr) error {
	came := c.expect(number)
	conn, err := c.clients.Dial(from, to, wireTime)
	if err != nil {
		return err
	}
	if _, err := conn.Write(binary.BigEndian.AppendUint64(nil, number)); err != nil {
		return err
	}
	select {
	case vm := <-came:
		if peer := vm.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(); sees.IsValid() && peer != sees {
			return fmt.Errorf("%w: the VM sees %s, want %s", errWrong, peer, sees)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.talks = append(c.talks, newTalk(number, conn, vm, manner(number%uint64(manners)), c.interval))
		return nil
	case <-time.After(wireTime):
		return errors.Join(fmt.Errorf("session %d did not reach the VM", number), conn.Close())
	}
}

// route gives a client the address for its next session.
type route func(from netip.Addr) (netip.AddrPort, error)

// grow has n sessions begin, the same number of each client. routes makes that of a client.
func (c *crowd) grow(n int, sees netip.Addr, routes func(client int, from netip.Addr) (route, error)) error {
	var group errgroup.Group
	group.SetLimit(openAtOnce)
	people := c.clients.Addrs()
	for i, from := range people {
		group.Go(func() error {
			next, err := routes(i, from)
			for number := i; number < n && err == nil; number += len(people) {
				var to netip.AddrPort
				if to, err = next(from); err == nil {
					err = c.talk(uint64(number), from, to, sees)
				}
			}
			return err
		})
	}
	return group.Wait()
}

// opened is the route of a client that opens a tunnel for each session.
func (c *crowd) opened(s server) func(int, netip.Addr) (route, error) {
	body := openBodyTo(c.vm)
	return func(_ int, from netip.Addr) (route, error) {
		w, err := dialWire(c.clients, s, from)
		return func(netip.Addr) (netip.AddrPort, error) {
			t, err := w.open(body)
			return netip.AddrPortFrom(s.addr.Addr(), t.Port), err
		}, err
	}
}

// open has a tunnel opened.
func (w *wire) open(body []byte) (t tunnel, err error) {
	status, text, err := w.post(openPath, body)
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(text, &t); err != nil || status != 201 {
		return t, fmt.Errorf("open_connection answered %d %s", status, text)
	}
	return t, nil
}

// watch forgets the pauses there were so far.
func (c *crowd) watch() {
	for _, t := range c.talks {
		for _, v := range t.voices {
			v.watch()
		}
	}
}

// finish has everybody say no more, and waits until all was heard that can be. It tells
// the stall of every session, bound for those that were lost, and how many that are.
func (c *crowd) finish(ctx context.Context, bound time.Duration) (all []time.Duration, lost int, err error) {
	for _, t := range c.talks {
		t.hush()
	}
	for until := time.Now().Add(quietTime); !c.silent() && time.Now().Before(until) && ctx.Err() == nil; {
		_ = pause(ctx, pairPoll) // the loop says so
	}
	for _, t := range c.talks {
		stall := t.stall()
		if why := t.lost(); why != nil || !t.complete() {
			if errors.Is(why, errWrong) {
				return nil, 0, why
			}
			stall, lost = bound, lost+1
		}
		all = append(all, min(stall, bound))
	}
	return all, lost, ctx.Err()
}

// silent tells whether nothing more is to be heard.
func (c *crowd) silent() bool {
	for _, t := range c.talks {
		if t.lost() == nil && !t.complete() {
			return false
		}
	}
	return true
}

func (c *crowd) close() {
	_ = c.listener.Close()
	for _, t := range c.talks {
		t.close()
	}
}
