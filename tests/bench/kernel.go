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

	"vdi-gateway/gateway/kernel"
	"vdi-gateway/tests/bench/figure"
	"vdi-gateway/tests/bench/load"
	"vdi-gateway/tests/bench/peer"
	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

const (
	kernelTime = 12 * time.Minute
	// loadClients have a tunnel each, at the same port, of as many channels as there may be.
	loadClients  = 16
	loadChannels = 64
	// restClients have a tunnel at every port of the range.
	restClients = 50
	// kernelVMs are addresses of the VM: behind one address of the gateway there are not
	// more connections to one of them than there are ports.
	kernelVMs = 8
)

// kernelKinds are the figures, and whom they are beside.
var kernelKinds = []struct {
	name, unit string
	peers      []string
}{
	{"kernel.bulk1", "Gb/s", []string{"direct", "nft", "haproxy"}},
	{"kernel.bulk8", "Gb/s", []string{"direct", "nft", "haproxy"}},
	{"kernel.bulk32", "Gb/s", []string{"direct", "nft", "haproxy"}},
	{"kernel.cpu_per_gb", "s", []string{"direct", "nft", "haproxy"}},
	{"kernel.p50_1", "us", []string{"direct", "nft", "haproxy"}},
	{"kernel.conn_per_s", "1/s", []string{"direct", "nft", "haproxy"}},
	{"kernel.idle_rss_kb", "KB", []string{"haproxy"}},
	{"kernel.kill9_stall", "ms", []string{"direct"}},
	{"kernel.inject_20000", "ms", []string{"conntrack"}},
}

func kernelFigures() (all []figure.Figure) {
	for _, k := range kernelKinds {
		for _, name := range k.peers {
			all = append(all, figure.Figure{Name: k.name, Peer: name, Unit: k.unit})
		}
	}
	return all
}

// kernels is the setting: clients in one network, a VM in another, and in both every
// contender: the product, a peer, rules by hand, and a router. What relays measures is
// measured by its means.
type kernels struct {
	relays
	outside, inside *lab.Network
	dir, binary     string
	vm              *lab.Host
	node            *node.Node      // ours
	records         []kernel.Record // of the flows to inject
}

// benchKernel measures the data path of nftables. An error means that the check failed or
// nothing could be measured.
func benchKernel(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, kernelTime)
	defer cancel()
	dir, err := os.MkdirTemp("", "vdi-gateway-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	k := &kernels{relays: relays{sheet: figure.NewSheet(os.Stdout, kernelFigures()...)}, dir: dir}
	err = k.measure(ctx)
	if errors.Is(err, errWrong) {
		k.sheet.Void(err)
		return err
	}
	if err != nil {
		k.sheet.Missing(err)
	}
	k.sheet.Print(strings.Join([]string{figure.Machine(time.Now()), peer.HAProxyVersion(), congestion()}, ", "))
	if errors.Is(err, lab.ErrNotAllowed) {
		return nil
	}
	return err
}

func (k *kernels) measure(ctx context.Context) (err error) {
	if err := allowDescriptors(); err != nil {
		return err
	}
	if k.binary, err = builtRelay(ctx, k.sheet, k.dir); err != nil {
		return err
	}
	if k.outside, err = lab.Make(); err != nil {
		return err
	}
	defer k.outside.Close()
	if k.inside, err = lab.Make(); err != nil {
		return err
	}
	defer k.inside.Close()
	if err := first(k.addEnds(), k.addContenders(), k.former(ctx)); err != nil {
		return err
	}
	err = figure.Rounds(ctx, func(round, of int) error {
		k.sheet.Progress("round %d of %d", round+1, of)
		return k.round(ctx, round)
	})
	if len(k.missing) > 0 {
		err = errors.Join(err, errors.New(strings.Join(k.missing, "; ")))
	}
	return err
}

// addEnds adds the clients' host and the VM, which know the router.
func (k *kernels) addEnds() (err error) {
	var own, vms []string
	for i := range loadClients + restClients {
		own = append(own, fmt.Sprintf("10.99.0.%d/24", 100+i))
	}
	for i := range kernelVMs {
		vms = append(vms, fmt.Sprintf("10.98.0.%d/24", 20+i))
	}
	if k.client, err = k.outside.AddHost("client", own...); err != nil {
		return err
	}
	if k.vm, err = k.inside.AddHost("vm", vms...); err != nil {
		return err
	}
	if err := first(prepare(k.client), prepare(k.vm)); err != nil {
		return err
	}
	k.server = netip.AddrPortFrom(k.vm.Addr(), serverPort)
	return load.Serve(k.vm, netip.AddrPortFrom(netip.IPv4Unspecified(), serverPort))
}

// gate adds a host that is in both networks, at the same place in each.
func (k *kernels) gate(name string, place int) (*lab.Host, error) {
	h, err := k.outside.AddHost(name, fmt.Sprintf("10.99.0.%d/24", place))
	if err != nil {
		return nil, err
	}
	if _, err := k.inside.JoinHost(h, fmt.Sprintf("10.98.0.%d/24", place)); err != nil {
		return nil, err
	}
	return h, prepare(h)
}

func (k *kernels) addContenders() error {
	haproxy, err := k.gate("haproxy", 2)
	if err != nil {
		return err
	}
	kind := peer.TunedHAProxy()
	kind.Name = "haproxy"
	k.ours = &contender{name: "ours"}
	k.theirs = []*contender{
		{name: kind.Name, kind: kind, host: haproxy, dir: filepath.Join(k.dir, kind.Name)},
		{name: "nft"},
		{name: "direct", addr: k.server},
	}
	return first(os.Mkdir(k.theirs[0].dir, 0o700), k.byHand(k.theirs[1]), k.router())
}

// clients are those that load is from, and those that only rest.
func (k *kernels) clients() (loading, resting []netip.Addr) {
	all := k.client.Addrs()
	return all[:loadClients], all[loadClients:]
}

// target is where the tunnels of a client lead.
func (k *kernels) target(client int) netip.AddrPort {
	return netip.AddrPortFrom(k.vm.Addrs()[client%kernelVMs], serverPort)
}
