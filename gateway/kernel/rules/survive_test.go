package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"vdi-gateway/tests/lab"
)

// crowd is sessions that talk without a pause until stop, each over a connection of
// its own.
type crowd struct {
	stop   chan struct{}
	done   sync.WaitGroup
	failed atomic.Pointer[error]
	rounds atomic.Int64
}

// talk opens n sessions by one grant of each family and has them talk.
func (r *rig) talk(n int) *crowd {
	r.t.Helper()
	newDesktop(r)
	c := &crowd{stop: make(chan struct{})}
	for i := range n {
		s := r.mustOpen(r.client, families()[i%len(families())], 5901)
		c.done.Go(func() {
			for {
				select {
				case <-c.stop:
					return
				default:
				}
				if err := s.echoes(); err != nil {
					c.failed.CompareAndSwap(nil, &err)
					return
				}
				c.rounds.Add(1)
			}
		})
	}
	return c
}

// more waits until every session has most likely talked again.
func (c *crowd) more(t *testing.T) {
	t.Helper()
	want := c.rounds.Load() + 300
	eventually(t, "talk", func() bool { return c.rounds.Load() > want || c.failed.Load() != nil })
}

func (c *crowd) end(t *testing.T) {
	t.Helper()
	close(c.stop)
	c.done.Wait()
	if err := c.failed.Load(); err != nil {
		t.Errorf("got %v, want every session to go on", *err)
	}
}

func (r *rig) grantBoth(port uint16) {
	for _, f := range families() {
		r.add(r.grant(r.client, f, port))
	}
}

func TestSessionsSurviveChanges(t *testing.T) {
	r := newRig(t)
	r.apply()
	r.grantBoth(5901)
	c := r.talk(100)
	for i := range 5 {
		r.cfg.LastPort = uint16(5990 + i)
		r.cfg.Clients = Everybody()[:i%3]
		r.apply()
		c.more(t)
	}
	c.end(t)
}

// A daemon that died leaves its table to the next one, of this version or another.
func TestSessionsSurviveTheirDaemon(t *testing.T) {
	r := newRig(t)
	r.apply()
	r.grantBoth(5901)
	wanted := r.grants()
	c := r.talk(100)
	for _, tt := range []struct {
		name     string
		before   func()
		replaced bool
	}{
		{"of the same version", func() {}, false},
		{"of another version", func() { r.otherVersion() }, true},
	} {
		tt.before()
		r.rules = New()
		var got []Grant
		r.here(func() (err error) { got, err = r.rules.Adopt(); return err })
		if !slices.Equal(got, wanted) {
			t.Errorf("%s: got %v, want %v", tt.name, got, wanted)
		}
		before := r.generation()
		r.apply()
		if replaced := r.generation() != before; replaced != tt.replaced {
			t.Errorf("%s: the table was replaced: got %t, want %t", tt.name, replaced, tt.replaced)
		}
		if got := r.generation() - before; got > 1 {
			t.Errorf("%s: got %d transactions, want one at most", tt.name, got)
		}
		c.more(t)
		r.mustOpen(r.client, 0, 5901)
	}
	c.end(t)
}

// otherVersion makes the table look as if another version had written it.
func (r *rig) otherVersion() {
	r.nft("flush chain inet vdi-gateway about; " +
		"add rule inet vdi-gateway about return comment \"layout 99, content 0123456789abcdef\"; " +
		"add chain inet vdi-gateway novel { type filter hook forward priority 5; policy accept; }")
}

func TestEqualIsNotSent(t *testing.T) {
	r := newRig(t)
	r.apply()
	limited := r.grant(r.client, 0, 5901)
	limited.Limit = 3
	grants := []Grant{limited, r.grant(r.client, 1, 5901)}
	r.add(grants...)
	before := r.generation()
	r.apply()
	r.add(grants...)
	r.here(func() error { return r.rules.Set(grants) })
	r.here(func() error { return r.rules.Remove([]Grant{r.grant(r.other, 0, 5901)}) })
	r.rules = New()
	r.apply()
	if got := r.generation(); got != before {
		t.Errorf("got %d transactions, want none", got-before)
	}
}

// What others do to our table is mended by the next call that meets it.
func TestTableIsMended(t *testing.T) {
	r := newRig(t)
	r.apply()
	a, b := r.grant(r.client, 0, 5901), r.grant(r.client, 0, 5902)
	a.Limit = 2
	r.add(a)
	apply := func() error { return r.rules.Apply(r.cfg) }
	for _, tt := range []struct {
		script string
		do     func() error
	}{
		{"flush ruleset", apply},
		{"delete table inet vdi-gateway", func() error { return r.rules.Add([]Grant{a, b}) }},
		{"flush table inet vdi-gateway", apply},
		{"flush chain inet vdi-gateway guard", apply},
		{"insert rule inet vdi-gateway condemned drop", apply},
		{"chain inet vdi-gateway condemned { policy drop; }", apply},
		{"add chain inet vdi-gateway more { type filter hook forward priority 7; }", apply},
		{"flush map inet vdi-gateway grants4", func() error { return r.rules.Set([]Grant{a}) }},
		{"delete element inet vdi-gateway grants4 { 10.9.0.100 . 5901 }", func() error { return r.rules.Remove([]Grant{a}) }},
		{"add element inet vdi-gateway relayed4 { 10.9.0.77 . 5907 }", func() error { return r.rules.Set([]Grant{a}) }},
		{"add element inet vdi-gateway grants4 { 10.9.0.77 . 5907 : 10.8.0.50 . 5900 }", func() error { return r.rules.Set([]Grant{a}) }},
		{"add element inet vdi-gateway grants4 { 10.9.0.100 . 5902 : 10.8.0.51 . 5900 }", func() error { return r.rules.Add([]Grant{b}) }},
	} {
		r.here(func() error { return r.rules.Set([]Grant{a}) })
		want := r.lines()
		r.nft(tt.script)
		r.here(tt.do)
		got := r.grants()
		r.here(func() error { return r.rules.Set([]Grant{a}) })
		sameText(t, tt.script, r.lines(), want)
		model := r.rules.grants
		if len(model) != 1 || len(got) > 2 {
			t.Errorf("%s: got %v, then %v", tt.script, got, model)
		}
	}
}

// Tables, packets and connections of others are theirs.
func TestOthersAreLeftAlone(t *testing.T) {
	r := newRig(t)
	newDesktop(r)
	r.nft(`table inet others {
		set s { type ipv4_addr; elements = { 10.9.0.1 }; }
		chain f { type filter hook forward priority 0; ip saddr @s counter; }
		chain d { type nat hook prerouting priority -100; tcp dport 7777 counter redirect to :7778; }
	}
	table ip others { chain i { type filter hook input priority 10; }; }
	table ip6 vdi-gateway { chain c { }; }`)
	before := r.nft("list ruleset")
	l, err := r.gateway.Listen("10.9.0.10:8002")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r.command(r.client, "ip", "route", "add", "10.8.0.0/24", "via", "10.9.0.1")
	r.command(r.vm, "ip", "route", "add", "10.9.0.0/24", "via", "10.8.0.1")
	dial := func(h *lab.Host, to string) error {
		c, err := h.DialContext(t.Context(), "tcp", to)
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	use := func() string {
		return fmt.Sprint(
			dial(r.client, "10.9.0.10:8002"), // a service on the virtual address
			dial(r.client, "10.8.0.50:5900"), // forwarded, not by us
			dial(r.client, "10.9.0.1:5950"),  // another address, nobody there
			dial(r.client, "10.9.0.10:6000")) // beyond the range, nobody there
	}
	without := use()
	r.apply()
	r.grantBoth(5901)
	sameText(t, "connections of others", use(), without)
	r.mustOpen(r.client, 0, 5901)
	ruleset := r.nft("list ruleset")
	if got := strings.Replace(ruleset, r.table(), "", 1); got != before {
		t.Errorf("tables of others: got\n%s\nwant\n%s", got, before)
	}
	r.here(func() error { return r.rules.Delete() })
	sameText(t, "tables after the deletion of ours", r.nft("list ruleset"), before)
	r.here(func() error { return r.rules.Delete() })
	if got := r.counters(); got != (Counters{}) {
		t.Errorf("counters without a table: got %+v, want none", got)
	}
	if err := r.gateway.Do(func() error { return r.rules.Add(nil) }); !errors.Is(err, errNotApplied) {
		t.Errorf("a grant without a table: got %v, want %v", err, errNotApplied)
	}
}
