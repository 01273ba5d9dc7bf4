package rules

import (
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vdi-gateway/tests/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m.Run)) }

const (
	patience = 20 * time.Second
	ourMark  = 0x76646901
	endMark  = 0x766469ff
)

// rig is a client, another one, a gateway with rules, a VM and a stranger beside it.
// Clients know the virtual addresses, VMs the inside addresses: neither has a route to
// the other.
type rig struct {
	t                                 *testing.T
	client, other, gateway, vm, stray *lab.Host
	rules                             *Rules
	cfg                               Config
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func newRig(t *testing.T) *rig {
	t.Helper()
	need(t, "nft")
	net := lab.New(t)
	r := &rig{
		t:       t,
		client:  net.Host("client", "10.9.0.100/24", "fd09::100/64"),
		other:   net.Host("other", "10.9.0.101/24", "fd09::101/64"),
		gateway: net.Host("gateway", "10.9.0.1/24", "fd09::1/64", "10.8.0.1/24", "fd08::1/64"),
		vm:      net.Host("vm", "10.8.0.50/24", "fd08::50/64"),
		stray:   net.Host("stray", "10.8.0.51/24", "fd08::51/64"),
		rules:   New(),
		cfg: Config{
			Virtual:   []netip.Addr{addr("10.9.0.10"), addr("fd09::10")},
			Inside:    []netip.Addr{addr("10.8.0.10"), addr("fd08::10")},
			FirstPort: 5900, LastPort: 5999, Clients: Everybody(), Mark: ourMark, Condemned: endMark,
		},
	}
	for _, a := range []netip.Addr{r.cfg.Virtual[0], r.cfg.Virtual[1], r.cfg.Inside[0], r.cfg.Inside[1]} {
		if err := r.gateway.Take(a); err != nil && (a.Is4() || lab.IPv6()) {
			t.Fatal(err)
		}
	}
	r.command(r.gateway, "sh", "-c", `
		echo 1 >/proc/sys/net/ipv4/ip_forward
		[ ! -e /proc/sys/net/ipv6 ] || echo 1 >/proc/sys/net/ipv6/conf/all/forwarding`)
	return r
}

func need(t testing.TB, command string) {
	t.Helper()
	if _, err := exec.LookPath(command); err != nil {
		t.Skipf("%s is not installed", command)
	}
}

// families are those of the kernel, as places in the config's addresses.
func families() []int {
	if lab.IPv6() {
		return []int{0, 1}
	}
	return []int{0}
}

// command runs a program on a host and returns what it printed.
func (r *rig) command(h *lab.Host, name string, args ...string) string {
	r.t.Helper()
	out, err := h.Run(r.t.Context(), exec.Command(name, args...))
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// nft runs a script of nft on the gateway.
func (r *rig) nft(script string) string {
	r.t.Helper()
	return r.command(r.gateway, "nft", script)
}

// here calls what acts on nftables in the gateway's namespace.
func (r *rig) here(f func() error) {
	r.t.Helper()
	if err := r.gateway.Do(f); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) apply() {
	r.t.Helper()
	r.here(func() error { return r.rules.Apply(r.cfg) })
}

func (r *rig) add(grants ...Grant) {
	r.t.Helper()
	r.here(func() error { return r.rules.Add(grants) })
}

func (r *rig) generation() uint32 {
	r.t.Helper()
	var id uint32
	r.here(func() (err error) { id, err = generation(); return err })
	return id
}

func (r *rig) counters() Counters {
	r.t.Helper()
	var c Counters
	r.here(func() (err error) { c, err = r.rules.Counters(); return err })
	return c
}

// table is our table as nft lists it.
func (r *rig) table() string {
	r.t.Helper()
	return r.nft("list table inet " + tableName)
}

// lines is our table as nft lists it, in an order of its own.
func (r *rig) lines() string {
	r.t.Helper()
	lines := strings.Split(r.table(), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// grant lets a host's address of a family through to the VM's port 5900.
func (r *rig) grant(h *lab.Host, family int, port uint16) Grant {
	return Grant{Client: h.Addrs()[family], Port: port, VM: netip.AddrPortFrom(r.vm.Addrs()[family], 5900)}
}

func (r *rig) grants() []Grant {
	r.t.Helper()
	var all []Grant
	r.here(func() (err error) { all, err = New().Adopt(); return err })
	return all
}

func sameText(t *testing.T, what, got, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (- want, + got):\n%s", what, diff)
	}
}
