package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vdi-gateway/tests/bench/figure"
	"vdi-gateway/tests/bench/load"
	"vdi-gateway/tests/bench/peer"
	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// consoles is the setting: clients, a VM, and each way between them with a host
// of its own. A way and its peer are measured turn and turn about.
type consoles struct {
	sheet   *figure.Sheet
	dir     string
	binary  string
	client  *lab.Host
	target  *lab.Host // the VM
	server  netip.AddrPort
	desktop netip.AddrPort // the sample desktop, on the VM
	plain   contest
	secure  contest
	pages   contest
	missing []string // what is not measured, each with why
	suites  []string // that TLS used
}

// contest is the product and a peer, at the same thing.
type contest struct {
	ours, theirs *gate
	figures      []figure.Figure
	lost         bool // the peer is no longer measured, nor compared with
}

// gate is what turns WebSockets into TCP: the product or a peer.
type gate struct {
	name   string
	host   *lab.Host
	dir    string
	kind   peer.Kind      // of a peer
	target netip.AddrPort // of a peer
	secure bool
	run    *peer.Relay // nil: not running
	addr   netip.AddrPort
	web    load.Web
	node   *node.Node // the product
}

// benchConsole measures WebSockets that carry desktops. An error means that the
// check failed.
func benchConsole(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, relayTime)
	defer cancel()
	dir, err := os.MkdirTemp("", "vdi-gateway-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	sheet := figure.NewSheet(os.Stdout, consoleFigures()...)
	c := &consoles{sheet: sheet, dir: dir}
	network, err := lab.Make()
	if err == nil {
		defer network.Close()
		err = c.measure(ctx, network)
	}
	if errors.Is(err, errWrong) {
		sheet.Void(err)
		return err
	}
	if err != nil {
		c.missing = append(c.missing, err.Error())
	}
	if len(c.missing) > 0 {
		sheet.Missing(errors.New(strings.Join(c.missing, "; ")))
	}
	setting := append([]string{figure.Machine(time.Now()), peer.WebsockifyVersion(), peer.NginxVersion(), congestion()}, c.suites...)
	sheet.Print(strings.Join(setting, ", "))
	return nil
}

func (c *consoles) measure(ctx context.Context, network *lab.Network) (err error) {
	if err := allowDescriptors(); err != nil {
		return err
	}
	if c.binary, err = builtRelay(ctx, c.sheet, c.dir); err != nil {
		return err
	}
	if err := first(c.addEnds(network), c.addGates(network)); err != nil {
		return err
	}
	stop, err := c.serveDesktop()
	if err != nil {
		return err
	}
	defer stop()
	return figure.Rounds(ctx, func(round, of int) error {
		c.sheet.Progress("round %d of %d", round+1, of)
		return c.round(ctx, round)
	})
}

// addEnds adds the clients' host and the VM's.
func (c *consoles) addEnds(network *lab.Network) (err error) {
	if c.client, err = network.AddHost("client", "10.99.0.100/24"); err != nil {
		return err
	}
	if c.target, err = network.AddHost("vm", "10.99.0.20/24"); err != nil {
		return err
	}
	c.server = netip.AddrPortFrom(c.target.Addr(), serverPort)
	c.desktop = netip.AddrPortFrom(c.target.Addr(), desktopPort)
	return first(prepare(c.client), prepare(c.target), load.Serve(c.target, c.server))
}

// addGates adds the ways between them.
func (c *consoles) addGates(network *lab.Network) error {
	ours, secure := &gate{name: "ours"}, &gate{name: "ours_tls", secure: true}
	websockify := &gate{name: "websockify", kind: peer.Websockify(), target: c.server}
	nginx := &gate{name: "nginx", kind: peer.NginxTLS(), target: c.server, secure: true}
	novnc := &gate{name: "novnc", kind: peer.WebsockifyPage(), target: c.desktop}
	for i, g := range []*gate{ours, secure, websockify, nginx, novnc} {
		host, err := network.AddHost(g.name, fmt.Sprintf("10.99.0.%d/24", i+1))
		if err != nil {
			return err
		}
		g.host, g.dir = host, filepath.Join(c.dir, g.name)
		if err := first(prepare(host), os.Mkdir(g.dir, 0o700)); err != nil {
			return err
		}
	}
	c.plain = contest{ours: ours, theirs: websockify, figures: []figure.Figure{consoleBulk1, consoleBulk8, consoleCPU, consolePing, consoleHold}}
	c.secure = contest{ours: secure, theirs: nginx, figures: []figure.Figure{consoleTLS}}
	c.pages = contest{ours: ours, theirs: novnc, figures: []figure.Figure{consoleFrame}}
	return nil
}

// restart gives the gate a new process, for the reason that relays get one.
func (c *consoles) restart(ctx context.Context, g *gate) (err error) {
	if g.run != nil {
		g.run.Stop()
		g.run = nil
	}
	if g.kind.Name != "" {
		g.web = load.Web{Path: "/websockify", Protocols: []string{"binary"}, Secure: g.secure}
		if g.run, err = g.kind.Start(g.host, g.target, g.dir); err == nil {
			g.addr = g.run.Addr
		}
		return err
	}
	n, err := node.Start(g.host, node.Config{
		Binary: c.binary, DB: filepath.Join(g.dir, "settings.db"), Settings: node.Settings{"ssl": g.secure},
	})
	if err != nil {
		return err
	}
	g.node, g.run, g.addr = n, peer.Of(n), netip.AddrPortFrom(g.host.Addr(), node.APIPort)
	ticket, err := g.ticket(ctx, c.server, manyUses)
	g.web = load.Web{Path: "/v3/connect/", Protocols: []string{"binary", "vdi.token." + ticket}, Secure: g.secure}
	return err
}

// ticket is the permission to reach a VM so many times.
func (g *gate) ticket(ctx context.Context, vm netip.AddrPort, uses int) (string, error) {
	dispatcher := g.node.Dispatcher()
	if g.secure {
		dispatcher = dispatcher.Secure(&tls.Config{InsecureSkipVerify: true}) //nolint:gosec // it measures
	}
	defer dispatcher.Close()
	var answer struct{ Ticket string }
	err := dispatcher.Call(ctx, http.MethodPost, "/v3/tickets/", map[string]any{
		"vm_address": vm.Addr().String(), "vm_port": vm.Port(), "protocol": "vnc", "ttl_s": 3600, "max_uses": uses, "shared": true,
	}, &answer)
	return answer.Ticket, err
}
