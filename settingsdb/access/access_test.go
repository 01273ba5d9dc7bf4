package access

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func set(t testing.TB, text string) Set {
	t.Helper()
	s, err := ParseSet(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return s
}

// The table of pveproxy's manual and source.
func TestDecision(t *testing.T) {
	const both, only = "10.0.0.1-10.0.0.5,192.168.0.0/22", "all"
	for _, tt := range []struct {
		allow, deny         string
		clients             string
		byDefault, byDenial bool // policy allow, policy deny
	}{
		{both, only, "10.0.0.1 10.0.0.5 192.168.3.255 ::ffff:10.0.0.3", true, false},
		{both, only, "10.0.0.6 192.168.4.0 2001:db8::1 ::1 10.0.0.0", false, false},
		{both, "", "10.0.0.1 192.168.0.0", true, true},
		{both, "", "10.0.0.6 ::1", true, false},
		{"", both, "10.0.0.1 ::ffff:192.168.1.1", false, false},
		{"", both, "10.0.0.6 ::1", true, false},
		{"", "", "10.0.0.6 ::1", true, false},
		{"all", "10.0.0.1", "10.0.0.1", true, false},
		{"all", "10.0.0.1", "10.0.0.2 ::1", true, true},
		{"::/0", "", "10.0.0.1 ::ffff:10.0.0.1", true, false},
		{"::/0", "", "2001:db8::1", true, true},
		{"fe80::/10", "", "fe80::1%eth0", true, true},
	} {
		for _, client := range strings.Fields(tt.clients) {
			for deny, want := range map[bool]bool{false: tt.byDefault, true: tt.byDenial} {
				l := List{Allow: set(t, tt.allow), Deny: set(t, tt.deny), DenyByDefault: deny}
				if got := l.Allows(netip.MustParseAddr(client)); got != want {
					t.Errorf("allow %q, deny %q, deny by default %t: %s: got %t, want %t", tt.allow, tt.deny, deny, client, got, want)
				}
			}
		}
	}
}

func TestGrammar(t *testing.T) {
	for text, contains := range map[string]string{
		"":                                 "",
		"  ":                               "",
		"all":                              "10.0.0.1 ::1",
		" 10.0.0.1 , ::1 ":                 "10.0.0.1 ::1 ::ffff:10.0.0.1",
		"10.0.0.1 - 10.0.0.5":              "10.0.0.1 10.0.0.3 10.0.0.5",
		"10.0.0.7-10.0.0.7":                "10.0.0.7",
		"2001:db8::1-2001:db8::f":          "2001:db8::1 2001:db8::8 2001:db8::f",
		"0.0.0.0/0":                        "0.0.0.0 255.255.255.255",
		"::/0":                             ":: 2001:db8::1",
		"::ffff:10.0.0.0/104":              "10.0.0.1",
		"::ffff:10.0.0.1":                  "10.0.0.1",
		"10.0.0.0/8,10.0.0.0-10.9.9.9":     "10.200.0.1",
		"10.0.0.0/25,10.0.0.64-10.0.0.200": "10.0.0.0 10.0.0.127 10.0.0.128 10.0.0.200",
		"192.168.0.0/16,10.0.0.0/8":        "10.1.1.1 192.168.1.1",
		"255.255.255.255":                  "255.255.255.255",
	} {
		s := set(t, text)
		for _, a := range strings.Fields(contains) {
			if !s.Contains(netip.MustParseAddr(a)) {
				t.Errorf("%q: got %s outside, want it inside", text, a)
			}
		}
	}
}

func TestGrammarErrors(t *testing.T) {
	for _, tt := range []struct {
		text     string
		position int
		says     string
	}{
		{"10.0.0.1/8", 1, "write 10.0.0.0/8, or 10.0.0.1"},
		{"::1, 10.0.0.0/255.0.0.0", 6, "instead of a netmask"},
		{"10.0.0.5-10.0.0.1", 1, "write 10.0.0.1-10.0.0.5"},
		{"10.0.0.1-::1", 1, "both IPv6"},
		{"10.0.0.1-", 1, "IP address"},
		{"-10.0.0.1", 1, "IP address"},
		{"desk.example.org", 1, "IP address"},
		{"fe80::1%eth0", 1, "zone"},
		{"10.0.0.1,,10.0.0.2", 10, "missing"},
		{"10.0.0.1,", 10, "missing"},
		{"10.0.0.0/33", 1, "0 to 32"},
		{"fd00::/129", 1, "0 to 128"},
		{"10.0.0.0/", 1, "0 to 32"},
		{"::ffff:0.0.0.0/80", 1, "as IPv4"},
		{"ALL", 1, "IP address"},
		{"10.0.0.1 10.0.0.2", 1, "IP address"},
		{"10.0.0.256", 1, "IP address"},
	} {
		_, err := ParseSet(tt.text)
		var wrong *SyntaxError
		if !errors.As(err, &wrong) || wrong.Position != tt.position || !strings.Contains(wrong.Problem, tt.says) {
			t.Errorf("%q: got %v, want a problem at %d that says %q", tt.text, err, tt.position, tt.says)
		}
	}
}

// A set contains what one of its entries does, in whatever order they come.
func TestSetIsTheUnionOfItsEntries(t *testing.T) {
	octet := rapid.IntRange(0, 40)
	rapid.Check(t, func(t *rapid.T) {
		var entries []string
		inside := map[int]bool{}
		for range rapid.IntRange(1, 12).Draw(t, "entries") {
			a := octet.Draw(t, "a")
			b := rapid.IntRange(a, 40).Draw(t, "b")
			entries = append(entries, fmt.Sprintf("10.0.0.%d-10.0.0.%d", a, b))
			for i := a; i <= b; i++ {
				inside[i] = true
			}
		}
		s, err := ParseSet(strings.Join(entries, ","))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 42 {
			if got := s.Contains(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})); got != inside[i] {
				t.Fatalf("%v: 10.0.0.%d: got %t, want %t", entries, i, got, inside[i])
			}
		}
	})
}

// FuzzParseSet: nothing panics, and what is understood contains the ends of its
// entries.
func FuzzParseSet(f *testing.F) {
	for _, seed := range []string{"10.0.0.1-10.0.0.5,192.168.0.0/22", "all", "::/0, fe80::1", ",", "10.0.0.0/255.0.0.0", "::ffff:1.2.3.4/97"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSet(text)
		if err != nil {
			var wrong *SyntaxError
			if !errors.As(err, &wrong) || wrong.Position < 1 || wrong.Position > len(text)+1 {
				t.Errorf("%q: got %v, want a position within", text, err)
			}
			return
		}
		for entry := range strings.SplitSeq(text, ",") {
			a, err := netip.ParseAddr(strings.TrimSpace(entry))
			if err == nil && !s.Contains(a) {
				t.Errorf("%q: got %s outside", text, a)
			}
		}
	})
}

// BenchmarkAllows is one decision by a list of 10000 entries.
func BenchmarkAllows(b *testing.B) {
	var entries []string
	for i := range 10000 {
		entries = append(entries, fmt.Sprintf("10.%d.%d.0/25", i/256, i%256))
	}
	l := List{Allow: set(b, strings.Join(entries, ",")), Deny: set(b, "all")}
	a := netip.MustParseAddr("10.20.30.40")
	for b.Loop() {
		if !l.Allows(a) {
			b.Fatal("got denied")
		}
	}
}
