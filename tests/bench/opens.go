package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"vdi-gateway/tests/bench/figure"
	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

const (
	manyClients = 50
	warmUp      = time.Second
	alone       = 2 * time.Second // for one client
	together    = 4 * time.Second // for all clients
)

// openers is the setting for measuring open_connection: the product and the bare
// server on one host, clients with an address each on another.
type openers struct {
	clients *lab.Host
	vm      *lab.Host
	product server
	bare    server
}

// server answers open_connection.
type server struct {
	addr netip.AddrPort
	key  string
	real bool // its tunnels lead somewhere and its ids are its own
}

// opens measures how many tunnels are opened in a second and how long
// one takes. A tunnel is given back before the same client opens the next: that
// is part of the load, not of the time.
func (b *apiBench) opens(ctx context.Context) error {
	network, err := lab.Make()
	if err != nil {
		return err
	}
	defer network.Close()
	o, err := newOpens(network, b.binary, filepath.Join(b.dir, "opens.db"))
	if err != nil {
		return err
	}
	b.sheet.Progress("open_connection: %d clients and 1, beside a bare server", manyClients)
	for _, s := range []server{o.product, o.bare} {
		if _, err := o.load(s, manyClients, warmUp); err != nil {
			return err
		}
	}
	return figure.Rounds(ctx, func(round, of int) error {
		b.sheet.Progress("round %d of %d", round+1, of)
		if err := o.round(b.sheet, round, manyClients, together, opens50, slow50); err != nil {
			return err
		}
		return o.round(b.sheet, round, 1, alone, opens1, slow1)
	})
}

func (o *openers) round(sheet *figure.Sheet, round, clients int, last time.Duration, rate, slow figure.Figure) error {
	var ours, theirs outcome
	err := figure.Turns(round,
		func() (err error) { ours, err = o.load(o.product, clients, last); return err },
		func() (err error) { theirs, err = o.load(o.bare, clients, last); return err })
	if err != nil {
		return err
	}
	sheet.Add(rate, ours.perSecond, theirs.perSecond)
	sheet.Add(slow, ours.slowest, theirs.slowest)
	return nil
}

func newOpens(network *lab.Network, binary, db string) (*openers, error) {
	gate, err := network.AddHost("gate", "10.99.0.1/24")
	if err != nil {
		return nil, err
	}
	vm, err := network.AddHost("vm", "10.99.0.20/24")
	if err != nil {
		return nil, err
	}
	var own []string
	for i := range manyClients {
		own = append(own, fmt.Sprintf("10.99.0.%d/24", 100+i))
	}
	clients, err := network.AddHost("clients", own...)
	if err != nil {
		return nil, err
	}
	if err := echoOn(vm); err != nil {
		return nil, err
	}
	n, err := node.Start(gate, node.Config{Binary: binary, DB: db, Settings: node.Settings{
		"port_range_start": 20000, "port_range_stop": 29999,
	}})
	if err != nil {
		return nil, err
	}
	o := &openers{clients: clients, vm: vm, product: server{netip.AddrPortFrom(gate.Addr(), node.APIPort), n.ClientKey(), true}}
	return o, o.addBare(gate)
}

// addBare starts the bare server; its answers are one of the product's, so that
// both are of a size.
func (o *openers) addBare(gate *lab.Host) error {
	c, err := dialWire(o.clients, o.product, o.clients.Addr())
	if err != nil {
		return err
	}
	defer c.close()
	status, answer, err := c.post(openPath, openBody(o.vm.Addr()))
	if err != nil || status != 201 {
		return fmt.Errorf("open_connection: status %d: %w: %s", status, err, answer)
	}
	o.bare = server{addr: netip.AddrPortFrom(gate.Addr(), limitPort), key: o.product.key}
	return startLimit(gate, o.bare.addr, answer)
}

// echoPort is where the VM sends back what it gets.
const echoPort = 7000

func echoOn(vm *lab.Host) error {
	l, err := vm.Listen(netip.AddrPortFrom(vm.Addr(), echoPort).String())
	if err != nil {
		return err
	}
	go echoAll(l)
	return nil
}

// echoAll ends with the listener, or with the program.
func echoAll(l *net.TCPListener) {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return
		}
		go sendBack(c)
	}
}

func sendBack(c *net.TCPConn) {
	defer c.Close()
	buf := make([]byte, 64)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}
