package kernel_test

import (
	"errors"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"

	"vdi-gateway/gateway/kernel"
)

// A grant is relayed, then steered, then relayed, while the data path is there; and before
// it is.
func TestGrantOfASocket(t *testing.T) {
	w := newWorld(t)
	l, err := w.a.Listen(netip.AddrPortFrom(virtual, 5901).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	here := kernel.Grant{Client: w.grant.Client, Port: w.grant.Port}
	w.allow(w.a, here)
	client, socket := w.relayed("relayed", l, 5901)
	w.allow(w.a, w.grant)
	s := w.session()
	w.allow(w.a, here)
	w.relayed("relayed again", l, 5901)
	if err := errors.Join(says(client, socket, "up"), says(socket, client, "down")); err != nil {
		t.Errorf("the first relayed one: %v", err)
	}
	if err := errors.Join(says(s.client, s.vm, "up"), says(s.vm, s.client, "down")); err != nil {
		t.Errorf("the one that was steered: %v", err)
	}
	w.a.Forbid(kernel.Revoked, here)
	reset(t, "the client that was steered", s.client)
	reset(t, "the VM", s.vm)
	if got := heard(t, w.a.owner.ended, "its end"); got.Reason != kernel.Revoked {
		t.Errorf("got %s, want revoked", got.Reason)
	}
	w.allow(w.a, here)
	off := w.cfg
	off.Enabled = false
	if err := w.a.Apply(off); err != nil {
		t.Fatal(err)
	}
	w.eventually("end of the table", func() bool { return !w.table(w.a) })
	w.a.Forbid("admin", here)
	here.Port = 5902
	if err := w.a.Allow(here); err != nil {
		t.Fatal(err)
	}
	if err := w.a.Apply(w.cfg); err != nil {
		t.Fatal(err)
	}
	more, err := w.a.Listen(netip.AddrPortFrom(virtual, 5902).String())
	if err != nil {
		t.Fatal(err)
	}
	defer more.Close()
	w.relayed("allowed while disabled", more, 5902)
	w.refused("forbidden while disabled", 5901)
}

// What nftables does not take is told to it again, without being asked for, and there is
// not a line for each time.
func TestLoopTriesAgain(t *testing.T) {
	w := newWorld(t)
	w.a.stop()
	log, lines := test.NewNullLogger()
	log.SetLevel(logrus.WarnLevel)
	w.a.log = log
	w.start(w.a)
	w.session() // the loop listens
	w.a.broken.Store(true)
	before := w.a.asked.Load()
	more := w.grant
	more.Port = 5902
	if err := w.a.Allow(more); err != nil {
		t.Fatal(err)
	}
	w.eventually("third attempt", func() bool { return w.a.asked.Load() >= before+3 })
	if err := w.a.Settle(); err == nil {
		t.Error("Settle: got no error, want one")
	}
	w.a.broken.Store(false)
	w.eventually("way to the VM", func() bool {
		c, err := w.client.Dial(netip.Addr{}, netip.AddrPortFrom(virtual, 5902), patience)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	if got := lines.AllEntries(); len(got) != 1 || !strings.Contains(got[0].Message, "grants could not be told") {
		t.Errorf("got %d lines, want one of the grants", len(got))
	}
}

func TestHealth(t *testing.T) {
	w := newWorld(t)
	w.refused("no grant", 5903)
	if c, err := w.a.Counters(); c.Refused != 1 || err != nil {
		t.Errorf("got %+v and %v, want 1 refused", c, err)
	}
	if got := w.a.Warnings(); len(got) != 0 {
		t.Errorf("got %q, want no warning", got)
	}
	drop := exec.Command("nft", "table inet others { chain f { type filter hook forward priority 0; policy drop; }; }")
	if _, err := w.a.Host.Run(t.Context(), drop); err != nil {
		t.Fatal(err)
	}
	w.eventually("warning", func() bool { return len(w.a.Warnings()) == 1 })
	off := w.cfg
	off.Enabled = false
	if err := w.a.Apply(off); err != nil {
		t.Fatal(err)
	}
	w.eventually("end of the table", func() bool { return !w.table(w.a) })
	if c, err := w.a.Counters(); c.Refused != 0 || err != nil || w.a.Warnings() != nil {
		t.Errorf("disabled: got %+v, %v and %q, want nothing", c, err, w.a.Warnings())
	}
}
