package access

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

func ranges(t *testing.T, texts ...string) (list []Range) {
	t.Helper()
	for i := 0; i < len(texts); i += 2 {
		list = append(list, Range{netip.MustParseAddr(texts[i]), netip.MustParseAddr(texts[i+1])})
	}
	return list
}

func TestAllowedRanges(t *testing.T) {
	four, six := []string{"0.0.0.0", "255.255.255.255"}, []string{"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}
	for name, tt := range map[string]struct {
		list List
		want []Range
	}{
		"no list":        {List{}, ranges(t, append(four, six...)...)},
		"nobody":         {List{DenyByDefault: true}, nil},
		"some":           {List{Allow: set(t, "10.0.0.0/24,fd00::1"), DenyByDefault: true}, ranges(t, "10.0.0.0", "10.0.0.255", "fd00::1", "fd00::1")},
		"neighbours":     {List{Allow: set(t, "10.0.0.0/25,10.0.0.128/25"), DenyByDefault: true}, ranges(t, "10.0.0.0", "10.0.0.255")},
		"all but one":    {List{Deny: set(t, "10.0.0.7")}, ranges(t, append([]string{"0.0.0.0", "10.0.0.6", "10.0.0.8", "255.255.255.255"}, six...)...)},
		"both: policy":   {List{Allow: set(t, "10.0.0.0/30"), Deny: set(t, "10.0.0.1"), DenyByDefault: true}, ranges(t, "10.0.0.0", "10.0.0.0", "10.0.0.2", "10.0.0.3")},
		"the last there": {List{Deny: set(t, "255.255.255.0/24,::/0")}, ranges(t, "0.0.0.0", "255.255.254.255")},
	} {
		got := tt.list.Allowed()
		if len(got) != len(tt.want) {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: got %v, want %v", name, got, tt.want)
			}
		}
	}
}

// Every address is in a range just when the list lets it in.
func TestAllowedIsTheDecision(t *testing.T) {
	const seed = 26
	random := rand.New(rand.NewPCG(seed, seed))
	near := func() netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(random.IntN(40))}) }
	for range 300 {
		var spans [2][]span
		for i := range spans {
			for range random.IntN(6) {
				a, b := near(), near()
				if b.Less(a) {
					a, b = b, a
				}
				spans[i] = append(spans[i], span{a, b})
			}
		}
		l := List{Allow: joined(spans[0]), Deny: joined(spans[1]), DenyByDefault: random.IntN(2) == 0}
		allowed := l.Allowed()
		for a := netip.MustParseAddr("9.255.255.250"); a.Less(netip.MustParseAddr("10.0.0.60")); a = a.Next() {
			in := false
			for _, r := range allowed {
				in = in || !a.Less(r.First) && !r.Last.Less(a)
			}
			if in != l.Allows(a) {
				t.Fatalf("seed %d: %s is in %v: got %t, want %t", seed, a, allowed, in, l.Allows(a))
			}
		}
	}
}
