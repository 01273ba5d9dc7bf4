package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"vdi-gateway/gateway/kernel"
	"vdi-gateway/gateway/kernel/rules"
	"vdi-gateway/gateway/relay"
	"vdi-gateway/tests/bench/figure"
	"vdi-gateway/tests/lab"
)

// injected are as many flows as one node takes over, of 200 clients on 100 ports.
const injected = 20000

// Addresses that nobody has: only the table of the host's kernel is filled.
const (
	injectVirtual = "10.99.0.250"
	injectInside  = "10.98.0.250"
	injectVM      = "10.98.0.20:5900"
	injectMark    = 0x76646901
)

// nobody has no say in flows.
type nobody struct{}

func (nobody) Opened(*kernel.Flow) bool         { return true }
func (nobody) Joined(*kernel.Flow)              {}
func (nobody) Ended(*kernel.Flow, relay.Result) {}

// inject measures how long a host takes to know the flows of a node that has died: our
// package with all it looks at, beside the tool conntrack that reads them from a file.
func (k *kernels) inject(ctx context.Context, round int) error {
	var ours, theirs time.Duration
	err := figure.Turns(round,
		func() (err error) { ours, err = k.injectOurs(ctx, round); return err },
		func() (err error) { theirs, err = k.injectTool(ctx, round); return err })
	if err != nil {
		return err
	}
	k.sheet.Add(figure.Figure{Name: "kernel.inject_20000", Peer: "conntrack", Unit: "ms"}, figure.Milliseconds(ours), figure.Milliseconds(theirs))
	return nil
}

// flowEnds are the ends of a flow.
func flowEnds(i int) (client, virtual, inside, vm netip.AddrPort) {
	from := netip.AddrFrom4([4]byte{10, 97, byte(1 + i/10000), byte(1 + i/100%100)})
	port := uint16(20000 + i)
	return netip.AddrPortFrom(from, port), netip.AddrPortFrom(netip.MustParseAddr(injectVirtual), uint16(5900+i%100)),
		netip.AddrPortFrom(netip.MustParseAddr(injectInside), port), netip.MustParseAddrPort(injectVM)
}

// listener keeps what it is told.
type listener struct {
	mu      sync.Mutex
	records []kernel.Record
}

func (l *listener) Spread(r kernel.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, r)
}

func (l *listener) Forget(string) {}

func (l *listener) all() []kernel.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.records
}

// steering is our data path on a host, which has the grants of all flows. The caller ends it.
func (k *kernels) steering(ctx context.Context, h *lab.Host, c kernel.Config, told kernel.Directory) (*kernel.Kernel, func() error, error) {
	data := kernel.New(kernel.Deps{Owner: nobody{}, Directory: told, Within: h.Do})
	if err := data.Apply(c); err != nil {
		return nil, nil, err
	}
	var grants []kernel.Grant
	for i := range injected {
		client, virtual, _, vm := flowEnds(i)
		grants = append(grants, kernel.Grant{Client: client.Addr(), Port: virtual.Port(), VM: vm})
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- data.Run(ctx) }()
	stop := func() error {
		cancel()
		return <-ended
	}
	return data, stop, first(data.Allow(grants...), data.Settle())
}

// former has a host with the flows tell of them, as the node does that has died later.
func (k *kernels) former(ctx context.Context) error {
	h, err := k.outside.AddHost("former", "10.99.0.199/24")
	if err != nil {
		return err
	}
	if _, err := k.load(h); err != nil {
		return err
	}
	c := injectConfig()
	c.Resident = true
	var told listener
	_, stop, err := k.steering(ctx, h, c, &told)
	if err != nil {
		return err
	}
	err = await(ctx, func() bool { return len(told.all()) == injected })
	k.records = told.all()
	return errors.Join(err, stop())
}

func (k *kernels) injectOurs(ctx context.Context, round int) (took time.Duration, err error) {
	h, err := k.outside.AddHost("injecting", fmt.Sprintf("10.99.0.%d/24", 200+round))
	if err != nil {
		return 0, err
	}
	data, stop, err := k.steering(ctx, h, injectConfig(), nil)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	failed, err := data.Inject(ctx, k.records)
	took = time.Since(begin)
	return took, errors.Join(append(failed, err, tracks(h), stop())...)
}

func injectConfig() kernel.Config {
	return kernel.Config{Enabled: true, Rules: rules.Config{
		Virtual: []netip.Addr{netip.MustParseAddr(injectVirtual)}, Inside: []netip.Addr{netip.MustParseAddr(injectInside)},
		FirstPort: 5900, LastPort: 5999, Clients: rules.Everybody(), Mark: injectMark, Condemned: 0x766469ff,
	}}
}

func (k *kernels) injectTool(_ context.Context, round int) (time.Duration, error) {
	h, err := k.outside.AddHost("tool", fmt.Sprintf("10.99.0.%d/24", 225+round))
	if err != nil {
		return 0, err
	}
	return k.load(h)
}

// load has the tool make all flows on a host.
func (k *kernels) load(h *lab.Host) (time.Duration, error) {
	var list bytes.Buffer
	for i := range injected {
		client, virtual, inside, vm := flowEnds(i)
		fmt.Fprintf(&list, "-A -p tcp -s %[1]s -d %[2]s --sport %[3]d --dport %[4]d -r %[2]s -q %[1]s --reply-port-src %[4]d --reply-port-dst %[3]d "+
			"--state ESTABLISHED -t 300 -u SEEN_REPLY,ASSURED -m %[7]d --src-nat %[5]s --dst-nat %[6]s\n",
			client.Addr(), virtual.Addr(), client.Port(), virtual.Port(), inside, vm, injectMark)
	}
	path := filepath.Join(k.dir, "flows")
	if err := os.WriteFile(path, list.Bytes(), 0o600); err != nil {
		return 0, err
	}
	// Rules that translate have the kernel load what entries need for it.
	err := command(h, "table ip nat {\n chain c {\n type nat hook prerouting priority dstnat;\n }\n}\n", "nft", "-f", "-")
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	err = command(h, "", "conntrack", "-R", path)
	return time.Since(begin), first(err, tracks(h))
}

// tracks wants a host to know all flows.
func tracks(h *lab.Host) error {
	ctx, cancel := context.WithTimeout(context.Background(), wireTime)
	defer cancel()
	text, err := h.Run(ctx, exec.CommandContext(ctx, "conntrack", "-C"))
	if err == nil && strings.TrimSpace(text) != fmt.Sprint(injected) {
		err = fmt.Errorf("%w: the host knows %s flows, want %d", errWrong, strings.TrimSpace(text), injected)
	}
	return err
}
