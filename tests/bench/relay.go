package main

import (
	"context"
	"errors"
	"fmt"
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

// relayTime bounds the whole benchmark.
const relayTime = 20 * time.Minute

// checkedStreams is how many connections the check beside the figures carries
// at once.
const checkedStreams = 1000

// relays is the setting: clients and a server on a host each, and every relay
// on one of its own between them.
type relays struct {
	sheet   *figure.Sheet
	client  *lab.Host
	server  netip.AddrPort
	ours    *contender
	theirs  []*contender
	missing []string // peers that are not measured, each with why
}

// contender is the product or a peer; direct has no relay.
type contender struct {
	name string
	kind peer.Kind
	host *lab.Host
	dir  string
	addr netip.AddrPort // where clients connect to
	run  *peer.Relay    // nil: direct, or not running
	err  error          // why it is no longer measured
}

// benchRelay measures all figures of the relay. An error means that the check
// failed or nothing could be measured.
func benchRelay(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, relayTime)
	defer cancel()
	dir, err := os.MkdirTemp("", "vdi-gateway-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	sheet := figure.NewSheet(os.Stdout, relayFigures()...)
	network, err := lab.Make()
	if err != nil {
		sheet.Missing(err)
		sheet.Print("")
		return nil
	}
	defer network.Close()
	err = measureRelays(ctx, sheet, network, dir)
	if errors.Is(err, errWrong) {
		sheet.Void(err)
		return err
	}
	if err != nil {
		sheet.Missing(err)
	}
	sheet.Print(strings.Join([]string{figure.Machine(time.Now()), peer.HAProxyVersion(), peer.NginxVersion(), congestion()}, ", "))
	return nil
}

func measureRelays(ctx context.Context, sheet *figure.Sheet, network *lab.Network, dir string) error {
	b, err := newRelays(ctx, sheet, network, dir)
	if err != nil {
		return err
	}
	err = figure.Rounds(ctx, func(round, of int) error {
		sheet.Progress("round %d of %d", round+1, of)
		return b.round(ctx, round)
	})
	if len(b.missing) > 0 {
		err = errors.Join(err, errors.New(strings.Join(b.missing, "; ")))
	}
	return err
}

// newRelays makes the network, starts the server and builds the product.
func newRelays(ctx context.Context, sheet *figure.Sheet, network *lab.Network, dir string) (*relays, error) {
	if err := allowDescriptors(); err != nil {
		return nil, err
	}
	binary, err := builtRelay(ctx, sheet, dir)
	if err != nil {
		return nil, err
	}
	b := &relays{sheet: sheet}
	if err := b.addEnds(network); err != nil {
		return nil, err
	}
	for i, kind := range []peer.Kind{peer.Product(binary), peer.HAProxy(), peer.TunedHAProxy(), peer.Nginx()} {
		host, err := network.AddHost(kind.Name, fmt.Sprintf("10.99.0.%d/24", i+1))
		if err != nil {
			return nil, err
		}
		c := &contender{name: kind.Name, kind: kind, host: host, dir: filepath.Join(dir, kind.Name)}
		if err := errors.Join(prepare(host), os.Mkdir(c.dir, 0o700)); err != nil {
			return nil, err
		}
		b.theirs = append(b.theirs, c)
	}
	b.ours, b.theirs = b.theirs[0], append(b.theirs[1:], &contender{name: "direct", addr: b.server})
	return b, nil
}

// builtRelay is the product's binary: BENCH_BINARY, or built from this tree.
func builtRelay(ctx context.Context, sheet *figure.Sheet, dir string) (string, error) {
	if binary := os.Getenv("BENCH_BINARY"); binary != "" {
		return binary, nil
	}
	sheet.Progress("building vdi-gateway (the first time takes a minute or two)")
	binary, err := node.Build(ctx, dir)
	if err != nil {
		return "", fmt.Errorf("there is nothing to measure: %w", err)
	}
	return binary, nil
}

// addEnds adds the clients' host and the server's.
func (b *relays) addEnds(network *lab.Network) (err error) {
	var own []string
	for i := range clientAddrs {
		own = append(own, fmt.Sprintf("10.99.0.%d/24", 100+i))
	}
	if b.client, err = network.AddHost("client", own...); err != nil {
		return err
	}
	server, err := network.AddHost("server", "10.99.0.20/24")
	if err != nil {
		return err
	}
	if err := errors.Join(prepare(b.client), prepare(server)); err != nil {
		return err
	}
	b.server = netip.AddrPortFrom(server.Addr(), serverPort)
	return load.Serve(server, b.server)
}

// all are the contenders that are measured, whose order differs from round to
// round.
func (b *relays) all(round int) []*contender {
	list := []*contender{b.ours}
	for _, c := range b.theirs {
		if c.err == nil {
			list = append(list, c)
		}
	}
	first := round % len(list)
	return append(list[first:len(list):len(list)], list[:first]...)
}

// each lets every contender do a step. One that fails is measured no more; the
// product must not fail.
func (b *relays) each(round int, step func(c *contender) error) error {
	for _, c := range b.all(round) {
		err := step(c)
		if err == nil {
			continue
		}
		if c == b.ours {
			return err
		}
		c.err = err
		b.missing = append(b.missing, fmt.Sprintf("%s: %v", c.name, err))
		b.sheet.Progress("  %s is left out: %v", c.name, err)
	}
	return nil
}

// restart gives the contender a new process, since the memory of one that has
// carried much says little about the next session.
func (b *relays) restart(c *contender) (err error) {
	if c.host == nil {
		return nil
	}
	if c.run != nil {
		c.run.Stop()
	}
	if c.run, err = c.kind.Start(c.host, b.server, c.dir); err == nil {
		c.addr = c.run.Addr
	}
	return err
}

// check carries checked streams through the product.
func (b *relays) check(ctx context.Context, round int) error {
	r, err := load.Run(ctx, b.client, load.Job{
		Kind: load.Check, Addr: b.ours.addr, Judge: b.server, From: b.from(), Conns: checkedStreams, Seed: uint64(round) + 1,
	}, load.Marks{})
	if err != nil {
		return fmt.Errorf("%w: %w", errWrong, err)
	}
	b.sheet.Progress("  checked: %d connections at once, %d bytes", r.Conns, r.Bytes)
	return nil
}
