package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"vdi-gateway/gateway/rfb/desktop"
	"vdi-gateway/settingsdb"
)

const (
	demoPorts   = 10 // ports of the demo's range
	demoFrames  = 40 // frames the demo's viewer waits for
	demoTime    = 30 * time.Second
	demoTTL     = 300 // seconds the printed tunnel lives without a renewal
	demoRenewal = 20 * time.Second
)

type demoCommand struct {
	Once bool `help:"Show that frames flow, print one line and end."`
}

// Run starts a node and a sample desktop, plays dispatcher and client through
// the public API, and keeps running for whoever wants to look.
func (c *demoCommand) Run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "vdi-gateway-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left lies in a temporary folder
	d := &demo{once: c.Once, dir: dir}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var parts errgroup.Group
	err = d.start(ctx, &parts, cancel)
	if err == nil {
		err = d.play(ctx)
	}
	cancel()
	return errors.Join(err, parts.Wait())
}

// demo is one running demonstration.
type demo struct {
	once     bool
	dir      string
	settings settingsdb.Settings
	desktop  string // host:port
	url      string // of the node's API
}

// start brings up the desktop and the node on free ports of the loopback.
func (d *demo) start(ctx context.Context, parts *errgroup.Group, cancel func()) error {
	vm, err := listenLoopback(ctx, 0)
	if err != nil {
		return err
	}
	d.desktop = vm.Addr().String()
	parts.Go(func() error {
		defer cancel()
		return desktop.New(desktop.Config{Name: "vdi-gateway demo"}).Serve(ctx, vm)
	})
	store, err := d.database(ctx)
	if err != nil {
		return err
	}
	level := "info"
	if d.once {
		level = "error"
	}
	log, err := newLog(level)
	if err != nil {
		return err
	}
	d.say("starting a node with a database in %s", d.dir)
	parts.Go(func() error {
		defer cancel() // a node that cannot start ends the demo
		defer store.Close()
		return newApp(store, netip.Addr{}, log).run(ctx)
	})
	return nil
}

// database makes the demo's settings: everything on loopback, the desktop the
// only target.
func (d *demo) database(ctx context.Context) (*settingsdb.Store, error) {
	fresh, err := settingsdb.Fresh(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	if err != nil {
		return nil, err
	}
	first, err := freePorts(ctx, demoPorts+2)
	if err != nil {
		return nil, err
	}
	_, vmPort, err := net.SplitHostPort(d.desktop)
	if err != nil {
		return nil, err
	}
	s, problems := settingsdb.Revise(fresh, fmt.Appendf(nil,
		`{"listen_ip":"127.0.0.1","api_port":%d,"port_range_start":%d,"port_range_stop":%d,"stats_port":%d,"targets":{"allow":[{"cidr":"127.0.0.1/32","ports":["%s"]}]}}`,
		first, first+1, first+demoPorts, first+demoPorts+1, vmPort))
	if len(problems) > 0 {
		return nil, problems
	}
	d.settings = s
	d.url = "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(first))
	return settingsdb.Create(d.databasePath(), s, "demo")
}

func (d *demo) databasePath() string { return filepath.Join(d.dir, "settings.db") }

// freePorts finds n free ports in a row on the loopback, below those that the
// system gives to outgoing connections, which come and go all the time.
func freePorts(ctx context.Context, n int) (first int, err error) {
	const lowest, highest = 20000, 32000
	for range 200 {
		first = lowest + rand.IntN(highest-lowest-n) //nolint:gosec // nothing secret
		if err = allFree(ctx, first, n); err == nil {
			return first, nil
		}
	}
	return 0, fmt.Errorf("no %d free ports in a row between %d and %d on 127.0.0.1: %w", n, lowest, highest, err)
}

func allFree(ctx context.Context, first, n int) error {
	for p := first; p < first+n; p++ {
		l, err := listenLoopback(ctx, p)
		if err != nil {
			return err
		}
		_ = l.Close() // only its number was wanted
	}
	return nil
}

// listenLoopback listens on a port of the loopback; 0 is any free one.
func listenLoopback(ctx context.Context, port int) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

// demoTunnel is what open_connection answers, as far as the demo needs it.
type demoTunnel struct {
	ID      string `json:"connection_id"`
	Token   string `json:"token"`
	Address string `json:"address"`
	Port    int    `json:"port"`
}

func (t demoTunnel) addr() string { return net.JoinHostPort(t.Address, strconv.Itoa(t.Port)) }

// play is the dispatcher and the client: a ticket, a tunnel, a viewer.
func (d *demo) play(ctx context.Context) error {
	dispatcher := newClient(d.url, d.settings.APIKey.Reveal(), nil)
	user := newClient(d.url, d.settings.CLIKey.Reveal(), nil)
	if err := d.waitReady(ctx, dispatcher); err != nil {
		return err
	}
	tunnel, err := d.open(ctx, dispatcher, user)
	if err != nil {
		return err
	}
	frames, bytes, err := d.watch(ctx, tunnel)
	if err != nil {
		return fmt.Errorf("the desktop cannot be seen through the tunnel: %w", err)
	}
	if d.once {
		fmt.Printf("demo: %d frames, %d bytes of a live desktop seen through the tunnel on %s\n", frames, bytes, tunnel.addr())
		return nil
	}
	d.say("%d frames, %s of a live desktop seen through the tunnel on %s", frames, size(bytes), tunnel.addr())
	d.explain(tunnel)
	return d.keep(ctx, user, tunnel)
}

// waitReady asks for the node's health until it serves.
func (d *demo) waitReady(ctx context.Context, dispatcher *client) error {
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var health map[string]any
		err := dispatcher.call(ctx, "GET", "/v3/health/", nil, &health)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the node did not become ready: %w", err)
		case <-tick.C:
		}
	}
}

func (d *demo) open(ctx context.Context, dispatcher, user *client) (demoTunnel, error) {
	vm, err := netip.ParseAddrPort(d.desktop)
	if err != nil {
		return demoTunnel{}, err
	}
	var ticket struct {
		Ticket string `json:"ticket"`
	}
	err = dispatcher.call(ctx, "POST", "/v3/tickets/", map[string]any{
		"vm_address": vm.Addr().String(), "vm_port": vm.Port(), "protocol": "vnc", "user": "alice", "channels": 4,
	}, &ticket)
	if err != nil {
		return demoTunnel{}, err
	}
	d.say("the dispatcher made a ticket for alice and the sample desktop on %s", d.desktop)
	var tunnel demoTunnel
	err = user.call(ctx, "POST", "/v3/open_connection/", map[string]any{"ticket": ticket.Ticket, "ttl_s": demoTTL}, &tunnel)
	if err == nil {
		d.say("the client opened a tunnel with it: %s, open to this client alone", tunnel.addr())
	}
	return tunnel, err
}

// watch looks at the desktop through the tunnel, types a greeting, and counts
// what it sees.
func (d *demo) watch(ctx context.Context, t demoTunnel) (frames int, bytes int64, err error) {
	dialer := net.Dialer{Timeout: callTime}
	conn, err := dialer.DialContext(ctx, "tcp", t.addr())
	if err != nil {
		return 0, 0, err
	}
	viewer, err := desktop.NewViewer(conn)
	if err != nil {
		return 0, 0, err
	}
	defer viewer.Close()
	stop := context.AfterFunc(ctx, func() { _ = viewer.Close() })
	defer stop()
	greeting := "hello"
	for ; frames < demoFrames; frames++ {
		f, err := viewer.Update(frames > 0)
		if err != nil {
			return frames, bytes, err
		}
		bytes += f.Bytes
		if frames < len(greeting) {
			if err := viewer.Key(uint32(greeting[frames])); err != nil {
				return frames, bytes, err
			}
		}
	}
	return frames, bytes, nil
}

// explain prints what to try next.
func (d *demo) explain(t demoTunnel) {
	vm, err := netip.ParseAddrPort(d.desktop)
	if err != nil {
		return
	}
	api, cli := d.settings.APIKey.Reveal(), d.settings.CLIKey.Reveal()
	fmt.Printf(`
Look at it yourself (the tunnel stays open to this host while the demo runs):
  vncviewer %s::%d

Swagger UI, press Authorize and give one of the keys:
  %s/swagger/index.html
  api_key (dispatcher)  %s
  cli_key (client)      %s

Sessions and traffic as they happen:
  http://127.0.0.1:%[9]d/

The same by hand:
  curl -s -H 'Authorization: Bearer %[4]s' %[3]s/v3/get_connections/
  TICKET=$(curl -s -H 'Authorization: Bearer %[4]s' -H 'Content-Type: application/json' \
    -d '{"vm_address":"%[6]s","vm_port":%[7]d,"protocol":"vnc","user":"bob"}' %[3]s/v3/tickets/ | sed 's/.*"ticket":"\([^"]*\)".*/\1/')
  curl -s -H 'Authorization: Bearer %[5]s' -H 'Content-Type: application/json' \
    -d '{"ticket":"'$TICKET'"}' %[3]s/v3/open_connection/
  vdi-gateway status --db %[8]s

Ctrl-C ends the demo.
`, t.Address, t.Port, d.url, api, cli, vm.Addr(), vm.Port(), d.databasePath(), d.settings.StatsPort)
}

// keep renews the printed tunnel, as a client does, until the demo is ended.
func (d *demo) keep(ctx context.Context, user *client, t demoTunnel) error {
	tick := time.NewTicker(demoRenewal)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			var lease map[string]any
			err := user.call(ctx, "POST", "/v3/connect/", map[string]any{"connection_id": t.ID, "token": t.Token}, &lease)
			if err != nil && ctx.Err() == nil {
				d.say("the tunnel is gone: %v", err)
			}
		}
	}
}

func (d *demo) say(format string, args ...any) {
	if !d.once {
		fmt.Printf("demo: "+format+"\n", args...)
	}
}
