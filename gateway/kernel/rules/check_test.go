package rules

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"
)

func (r *rig) check() Findings {
	r.t.Helper()
	var f Findings
	r.here(func() error { f = Check(ourMark); return nil })
	return f
}

func TestCheckFindsNothingAndChangesNothing(t *testing.T) {
	r := newRig(t)
	before, ruleset := r.generation(), r.nft("list ruleset")
	if got := r.check(); len(got.Missing)+len(got.Warnings) > 0 {
		t.Errorf("got %q, want nothing", got)
	}
	if r.generation() != before {
		t.Error("got a transaction, want none")
	}
	sameText(t, "the tables", r.nft("list ruleset"), ruleset)
}

func TestCheckWarnsOfOthers(t *testing.T) {
	r := newRig(t)
	r.apply()
	for _, tt := range []struct {
		name, chain string
		want        bool
	}{
		{"accepts by default", "inet x { chain c { type filter hook forward priority 0; policy accept; }; }", false},
		{"drops by default", "inet x { chain c { type filter hook forward priority 0; policy drop; }; }", true},
		{"drops by default, IPv4", "ip x { chain c { type filter hook forward priority 0; policy drop; }; }", true},
		{"drops at another hook", "inet x { chain c { type filter hook input priority 0; policy drop; }; }", false},
		{"accepts our mark", "ip x { chain c { type filter hook forward priority 0; policy drop; counter ct mark 0x76646901 accept; }; }", false},
		{"accepts another mark", "ip x { chain c { type filter hook forward priority 0; policy drop; ct mark 0x1 accept; }; }", true},
		{"accepts what is translated", "ip6 x { chain c { type filter hook forward priority 0; policy drop; ct status dnat accept; }; }", false},
		{"accepts our mark from elsewhere", "inet x { chain c { type filter hook forward priority 0; policy drop; iifname eth7 ct mark 0x76646901 accept; }; }", true},
		{"drops our mark", "inet x { chain c { type filter hook forward priority 0; policy drop; ct mark 0x76646901 drop; }; }", true},
	} {
		r.nft("table " + tt.chain)
		got := r.check()
		if len(got.Missing) > 0 || (len(got.Warnings) == 1) != tt.want || len(got.Warnings) > 1 {
			t.Errorf("%s: got %q, want one warning: %t", tt.name, got, tt.want)
		}
		r.nft("delete table " + strings.Join(strings.Fields(tt.chain)[:2], " "))
	}
}

// The command that a warning names does what it says.
func TestCheckNamesTheRemedy(t *testing.T) {
	r := newRig(t)
	newDesktop(r)
	r.apply()
	r.add(r.grant(r.client, 0, 5901))
	r.nft("table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }")
	got := r.check().Warnings
	if len(got) != 1 || !strings.Contains(got[0], "table ip filter drops in its chain FORWARD") {
		t.Fatalf("got %q, want one warning of table ip filter", got)
	}
	_, command, _ := strings.Cut(got[0], ": nft ")
	r.nft(command)
	r.mustOpen(r.client, 0, 5901)
	if got := r.check().Warnings; len(got) > 0 {
		t.Errorf("got %q, want nothing any more", got)
	}
}

func TestCheckWarnsOfForwarding(t *testing.T) {
	r := newRig(t)
	r.command(r.gateway, "sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")
	if got := r.check().Warnings; !slices.ContainsFunc(got, func(w string) bool { return strings.HasPrefix(w, "net.ipv4.ip_forward is 0") }) {
		t.Errorf("got %q, want a word of ip_forward", got)
	}
}

// A kernel without a feature cannot be had here, but an expression that it lacks can.
func TestMissingFeatureIsNoticed(t *testing.T) {
	r := newRig(t)
	r.here(func() error {
		for _, p := range features() {
			if !possible(p.operations()) {
				t.Errorf("%s: got nothing, want it here", p.name)
			}
			p.exprs = one(&expr.Match{Name: "missing", Info: &xt.Unknown{}})
			if possible(p.operations()) {
				t.Errorf("an unknown match beside %s: got it, want it missing", p.name)
			}
		}
		return nil
	})
}

func TestCheckWithoutTheRight(t *testing.T) {
	r := newRig(t)
	var got Findings
	r.here(func() error { return withoutRights(func() { got = Check(ourMark) }) })
	if len(got.Missing) != 1 || !strings.Contains(got.Missing[0], "CAP_NET_ADMIN") {
		t.Errorf("got %q, want a word of CAP_NET_ADMIN", got)
	}
	r.here(func() error {
		return withoutRights(func() {
			if err := r.rules.Apply(r.cfg); err == nil || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
				t.Errorf("Apply: got %v, want a word of CAP_NET_ADMIN", err)
			}
		})
	})
}

// withoutRights calls f on this thread, which has no capability meanwhile.
func withoutRights(f func()) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var before [2]unix.CapUserData
	if err := unix.Capget(&header, &before[0]); err != nil {
		return err
	}
	none := before
	none[0].Effective, none[1].Effective = 0, 0
	if err := unix.Capset(&header, &none[0]); err != nil {
		return err
	}
	f()
	return unix.Capset(&header, &before[0])
}

// A config is warned of what concerns its families.
func TestWarningsConcernTheConfig(t *testing.T) {
	r := newRig(t)
	r.nft("table ip6 x { chain c { type filter hook forward priority 0; policy drop; }; }")
	both := len(r.check().Warnings)
	var four, six []string
	r.here(func() error {
		c := r.cfg
		c.Virtual = r.cfg.Virtual[:1]
		four = Warnings(c)
		c.Virtual = r.cfg.Virtual[1:]
		six = Warnings(c)
		return nil
	})
	if both != 1 || len(four) != 0 || len(six) != 1 {
		t.Errorf("got %d, IPv4 %q and IPv6 %q, want one that is for IPv6", both, four, six)
	}
}
