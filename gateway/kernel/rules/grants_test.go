package rules

import (
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/nftables"
	"pgregory.net/rapid"

	"vdi-gateway/tests/lab"
)

// many is n grants, of both families, with and without a limit, and every fifth relayed.
func many(n int) []Grant {
	grants := make([]Grant, n)
	for i := range grants {
		var client, vm [4]byte
		binary.BigEndian.PutUint32(client[:], 0x0b000000+uint32(i))
		binary.BigEndian.PutUint32(vm[:], 0x0a080000+uint32(i))
		g := Grant{Client: netip.AddrFrom4(client), Port: 5900, VM: netip.AddrPortFrom(netip.AddrFrom4(vm), 5900), Limit: i % 5}
		if i%2 == 1 {
			var client6, vm6 [16]byte
			copy(client6[:], []byte{0xfd, 1})
			copy(vm6[:], []byte{0xfd, 2})
			copy(client6[12:], client[:])
			copy(vm6[12:], vm[:])
			g.Client, g.VM = netip.AddrFrom16(client6), netip.AddrPortFrom(netip.AddrFrom16(vm6), 5900)
		}
		if i%5 == 4 {
			g.VM, g.Limit = netip.AddrPort{}, 0
		}
		grants[i] = g
	}
	slices.SortFunc(grants, Grant.compare)
	return grants
}

// unlimited is many without limits.
func unlimited(n int) []Grant {
	grants := many(n)
	for i := range grants {
		grants[i].Limit = 0
	}
	return grants
}

func TestManyGrantsInOneCall(t *testing.T) {
	r := newRig(t)
	r.apply()
	grants := many(20000)
	before := r.generation()
	begin := time.Now()
	r.here(func() error { return r.rules.Set(grants) })
	t.Logf("20000 grants in %s and %d transactions", time.Since(begin), r.generation()-before)
	if got := r.grants(); !slices.Equal(got, grants) {
		t.Errorf("got %d grants, want the %d that were set", len(got), len(grants))
	}
	// Another content, another version: they stay.
	r.cfg.LastPort--
	r.apply()
	r.otherVersion()
	r.apply()
	if got := r.grants(); !slices.Equal(got, grants) {
		t.Errorf("after a replacement: got %d grants, want %d", len(got), len(grants))
	}
	r.here(func() error { return r.rules.Set(grants[:1]) })
	if got := r.grants(); !slices.Equal(got, grants[:1]) {
		t.Errorf("got %d grants, want one", len(got))
	}
}

// fewer makes rapid's default of 100 runs a fifth: each step waits for the kernel.
func fewer(t *testing.T) {
	t.Helper()
	checks := flag.Lookup("rapid.checks").Value
	if before := checks.String(); before == "100" {
		_ = checks.Set("20")
		t.Cleanup(func() { _ = checks.Set(before) })
	}
}

// maps is the grants in the kernel, read without anything else.
func (r *rig) maps() []Grant {
	r.t.Helper()
	p := present{grants: map[netip.AddrPort]Grant{}}
	r.here(func() error {
		c, err := connect()
		if err != nil {
			return err
		}
		return p.readSets(c)
	})
	return sorted(p.grants)
}

// The kernel has the grants that were added and not removed, whatever the order, and
// whichever process did it.
func TestKernelHasWhatTheModelHas(t *testing.T) {
	r := newRig(t)
	r.apply()
	grant := rapid.Custom(func(t *rapid.T) Grant {
		g := many(2)[rapid.IntRange(0, 1).Draw(t, "family")]
		g.Port = rapid.Uint16Range(5900, 5903).Draw(t, "port")
		if rapid.Bool().Draw(t, "relayed") {
			g.VM, g.Limit = netip.AddrPort{}, 0
			return g
		}
		g.VM = netip.AddrPortFrom(g.VM.Addr(), rapid.Uint16Range(5900, 5901).Draw(t, "VM port"))
		g.Limit = rapid.IntRange(0, 3).Draw(t, "limit")
		return g
	})
	fewer(t)
	rapid.Check(t, func(t *rapid.T) {
		model := map[netip.AddrPort]Grant{}
		r.here(func() error { return r.rules.Set(nil) })
		do := func(f func([]Grant) error, grants []Grant) {
			if err := r.gateway.Do(func() error { return f(grants) }); err != nil {
				t.Fatalf("%v: %v", grants, err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				grants := rapid.SliceOfN(grant, 0, 4).Draw(t, "grants")
				do(r.rules.Add, grants)
				for _, g := range grants {
					model[g.key()] = g
				}
			},
			"remove": func(t *rapid.T) {
				grants := rapid.SliceOfN(grant, 0, 4).Draw(t, "grants")
				do(r.rules.Remove, grants)
				for _, g := range grants {
					delete(model, g.key())
				}
			},
			"set": func(t *rapid.T) {
				grants := rapid.SliceOfN(grant, 0, 4).Draw(t, "grants")
				do(r.rules.Set, grants)
				model, _ = indexed(grants)
			},
			"another process": func(*rapid.T) {
				r.rules = New()
				do(func([]Grant) error { return r.rules.Apply(r.cfg) }, nil)
			},
			"": func(t *rapid.T) {
				if got, want := r.maps(), sorted(model); !slices.Equal(got, want) {
					t.Fatalf("got %v, want %v", got, want)
				}
				if !maps.Equal(r.rules.grants, model) {
					t.Fatalf("got %v in memory, want %v", r.rules.grants, model)
				}
			},
		})
	})
}

// Callers need not wait for each other.
func TestManyCallers(t *testing.T) {
	r := newRig(t)
	r.apply()
	grants := many(400)
	var calls sync.WaitGroup
	for part := range slices.Chunk(grants, 10) {
		calls.Go(func() {
			err := r.gateway.Do(func() error {
				if err := r.rules.Add(part); err != nil {
					return err
				}
				return r.rules.Remove(part[:5])
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	calls.Go(func() {
		if err := r.gateway.Do(func() error { return r.rules.Apply(r.cfg) }); err != nil {
			t.Error(err)
		}
	})
	calls.Wait()
	if got := r.grants(); len(got) != len(grants)/2 {
		t.Errorf("got %d grants, want %d", len(got), len(grants)/2)
	}
}

func TestErrorNamesTheObject(t *testing.T) {
	r := newRig(t)
	r.apply()
	g := r.grant(r.client, 0, 5901)
	before := r.generation()
	for _, tt := range []struct {
		name string
		ops  []operation
		want string
	}{
		{"an element that is not there", append(added(unlimited(1000)), removed([]Grant{g})...), "grants 1 to 1 of set grants4"},
		{"a set that is not there", append(added(unlimited(2)), class{ip4.suffix, 7}.rule().made()), `rule "over the limit" of chain limit4_7`},
		{"another type", []operation{{"set grants4", func(c *nftables.Conn) error {
			return c.AddSet(newSet("grants4", nftables.TypeMark, func(*nftables.Set) {}), nil)
		}}}, "set grants4"},
	} {
		r.here(func() error {
			if err := commit(flush, tt.ops); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: got %v, want %q in it", tt.name, err, tt.want)
			}
			return nil
		})
	}
	if r.generation() != before || len(r.grants()) != 0 {
		t.Error("got a change, want none")
	}
}

func TestGrantsThatCannotBe(t *testing.T) {
	four, six := netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("fd09::1")
	for _, g := range []Grant{
		{},
		{Client: four},
		{Client: four, Port: 5900, Limit: 1},
		{Client: four, Port: 5900, VM: netip.AddrPortFrom(netip.Addr{}, 1)},
		{Client: four, Port: 5900, VM: netip.AddrPortFrom(netip.IPv4Unspecified(), 1)},
		{Client: netip.Addr{}, Port: 5900},
		{Client: four, Port: 0, VM: netip.AddrPortFrom(four, 1)},
		{Client: four, Port: 1, VM: netip.AddrPortFrom(four, 0)},
		{Client: four, Port: 1, VM: netip.AddrPortFrom(six, 1)},
		{Client: four, Port: 1, VM: netip.AddrPortFrom(four, 1), Limit: -1},
		{Client: four, Port: 1, VM: netip.AddrPortFrom(four, 1), Limit: MaxLimit + 1},
		{Client: netip.MustParseAddr("::ffff:10.9.0.1"), Port: 1, VM: netip.AddrPortFrom(four, 1)},
		{Client: netip.MustParseAddr("fe80::1%eth0"), Port: 1, VM: netip.AddrPortFrom(six, 1)},
		{Client: netip.IPv4Unspecified(), Port: 1, VM: netip.AddrPortFrom(four, 1)},
	} {
		if _, err := indexed([]Grant{g}); err == nil || !strings.Contains(err.Error(), g.String()) {
			t.Errorf("%s: got %v, want an error that names it", g, err)
		}
	}
}

// BenchmarkGrants adds grants, so many in one call, and reads 20000.
func BenchmarkGrants(b *testing.B) {
	h := lab.New(b).Host("gateway", "10.9.0.1/24")
	r := New()
	cfg := Config{
		Virtual: []netip.Addr{addr("10.9.0.10")}, Inside: []netip.Addr{addr("10.8.0.10")},
		FirstPort: 5900, LastPort: 5999, Mark: 1, Condemned: 2,
	}
	there := func(b *testing.B, f func() error) {
		if err := h.Do(f); err != nil {
			b.Fatal(err)
		}
	}
	there(b, func() error { return r.Apply(cfg) })
	for _, size := range []int{1, 100, 20000} {
		grants := many(min(20000, 1000*size))
		if size == len(grants) {
			b.Run("read", func(b *testing.B) {
				there(b, func() error { return r.Set(grants) })
				for b.Loop() {
					there(b, func() error { _, err := r.Adopt(); return err })
				}
			})
		}
		b.Run(fmt.Sprintf("by %d", size), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				there(b, func() error { return r.Set(nil) })
				b.StartTimer()
				there(b, func() error {
					for part := range slices.Chunk(grants, size) {
						if err := r.Add(part); err != nil {
							return err
						}
					}
					return nil
				})
			}
			b.ReportMetric(float64(len(grants)*b.N)/b.Elapsed().Seconds(), "grants/s")
		})
	}
}
