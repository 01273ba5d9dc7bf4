package conntrack_test

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vdi-gateway/gateway/kernel/conntrack"
	"vdi-gateway/tests/lab"
)

const acct = "/proc/sys/net/netfilter/nf_conntrack_acct"

func TestTuneSetsWhatIsWrongOnce(t *testing.T) {
	h := host(t)
	open(t, h) // or skip
	wanted := conntrack.Tuning{IPv4: true, IPv6: lab.IPv6(), Liberal: true}
	err := h.Do(func() error {
		for _, path := range []string{acct, "/proc/sys/net/ipv4/ip_forward"} {
			if err := os.WriteFile(path, []byte("0"), 0); err != nil {
				return err
			}
		}
		missing, err := conntrack.Missing(wanted)
		if err != nil {
			return err
		}
		changed, err := conntrack.Tune(wanted)
		if err != nil {
			return err
		}
		if !slices.Equal(missing, changed) {
			t.Errorf("got %v changed, want what was missing: %v", changed, missing)
		}
		for _, key := range []string{"net.ipv4.ip_forward", "net.netfilter.nf_conntrack_acct"} {
			if !slices.Contains(changed, conntrack.Change{Key: key, Was: "0", Wanted: "1"}) {
				t.Errorf("got %v, want %s among them", changed, key)
			}
		}
		if text, err := os.ReadFile(acct); err != nil || strings.TrimSpace(string(text)) != "1" {
			t.Errorf("accounting: got %q and %v, want 1", text, err)
		}
		if again, err := conntrack.Tune(wanted); err != nil || len(again) != 0 {
			t.Errorf("again: got %v and %v, want nothing to change", again, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCheckMakesNoEntry(t *testing.T) {
	h := host(t)
	table := open(t, h) // by way of Check
	if flows := dump(t, table, conntrack.Filter{}); len(flows) != 0 {
		t.Errorf("got %+v, want none", flows)
	}
}

// TestWithoutPermission runs a thread without capabilities; it ends with the test.
func TestWithoutPermission(t *testing.T) {
	h := host(t)
	open(t, h) // or skip
	type result struct{ check, dump, kick, tune error }
	got := make(chan result)
	go func() {
		var r result
		defer func() { got <- r }()
		_ = h.Do(func() error {
			return powerless(func() {
				r.check = conntrack.Check()
				_, r.tune = conntrack.Tune(conntrack.Tuning{IPv4: true})
				table, err := conntrack.Open()
				if err != nil {
					r.dump = err
					return
				}
				defer func() { _ = table.Close() }()
				_, r.dump = table.Dump(t.Context(), conntrack.Filter{})
				_, r.kick = table.Kick(t.Context(), condemned, families()[0].flow(1))
			})
		})
	}()
	r := <-got
	for name, err := range map[string]error{"Check": r.check, "Dump": r.dump, "Kick": r.kick} {
		if !errors.Is(err, conntrack.ErrNotPermitted) || !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
			t.Errorf("%s: got %v, want ErrNotPermitted and the name of the capability", name, err)
		}
	}
	// Whose file permissions are root's may write all the same.
	if r.tune != nil && (!errors.Is(r.tune, fs.ErrPermission) || !strings.Contains(r.tune.Error(), "net.ipv4.ip_forward is 0, 1 is needed")) {
		t.Errorf("Tune: got %v, want what is wrong and what to do", r.tune)
	}
}

// powerless runs f on this thread without effective capabilities.
func powerless(f func()) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var had [2]unix.CapUserData
	if err := unix.Capget(&header, &had[0]); err != nil {
		return err
	}
	without := had
	without[0].Effective, without[1].Effective = 0, 0
	if err := unix.Capset(&header, &without[0]); err != nil {
		return err
	}
	f()
	return unix.Capset(&header, &had[0])
}
