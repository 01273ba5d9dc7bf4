package gateway

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vdi-gateway/gateway/rfb"
)

// describes is a grant for records, of a client in ModePort.
func describes(change func(*grant)) *grant {
	_, hash := newSecret()
	g := &grant{
		id: "0f8fad5b-d9cb-469f-a165-70867728950e", client: netip.MustParseAddr("203.0.113.7"), token: hash,
		target: target{host: "10.1.2.3", port: 5901, addrs: []netip.AddrPort{netip.MustParseAddrPort("10.1.2.3:5901")}},
		user:   "ada", verified: true, vmID: "vm-7", protocol: "vnc", mode: ModePort, port: 5937,
		node: netip.MustParseAddr("10.0.0.2"), openedAt: noon, ttl: 30 * time.Second, limit: 2,
		timeouts: Timeouts{Dial: time.Second, SessionMax: time.Hour},
	}
	change(g)
	g.key = reopenKey{g.client, g.target.host, g.target.port, g.user, g.mode}
	g.extend(noon)
	return g
}

func TestRecordsTellAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`.{0,40}`)
		g := describes(func(g *grant) {
			g.user, g.vmID, g.verified = text.Draw(t, "user"), text.Draw(t, "vm"), rapid.Bool().Draw(t, "verified")
			g.attached, g.limit = rapid.Bool().Draw(t, "attached"), rapid.IntRange(1, 64).Draw(t, "limit")
			if rapid.Bool().Draw(t, "websocket") {
				g.mode, g.port = ModeWebSocket, 0
			}
			g.steered = rapid.Bool().Draw(t, "steered")
			g.bound, g.passcode.spent = rapid.Bool().Draw(t, "bound"), rapid.Bool().Draw(t, "spent")
			g.passcode.password = Secret(text.Draw(t, "passcode"))
			g.desktop = Desktop{
				User: text.Draw(t, "vm user"), Password: Secret(text.Draw(t, "vm password")),
				ViewOnly: rapid.Bool().Draw(t, "view only"), Shared: rapid.Bool().Draw(t, "shared"),
			}
			if rapid.Bool().Draw(t, "trust") {
				g.desktop.Trust = &rfb.Trust{CA: text.Draw(t, "ca"), ServerName: text.Draw(t, "name"), SHA256: text.Draw(t, "pin")}
			}
			if rapid.Bool().Draw(t, "returns") {
				_, g.resumes[0] = newSecret()
				g.until = noon.Add(time.Hour)
			}
			if rapid.Bool().Draw(t, "for ever") {
				g.ttl = 0
			}
		})
		r := g.record(noon)
		got, err := r.grant()
		if err != nil {
			t.Fatal(err)
		}
		if g.expires.IsZero() && !r.Expires.IsZero() || !g.expires.IsZero() && r.Expires != g.expires.Add(recordMargin) {
			t.Errorf("the record expires at %s", r.Expires)
		}
		got.expires, got.value = g.expires, nil
		same := cmp.Options{
			cmp.AllowUnexported(grant{}, target{}, reopenKey{}, passcode{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
			cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmp.Comparer(func(a, b way) bool { return a == b }),
		}
		if diff := cmp.Diff(g, got, same); diff != "" {
			t.Errorf("(-told +understood):\n%s", diff)
		}
	})
}

func TestRecordsThatMakeNoSense(t *testing.T) {
	for name, change := range map[string]func(map[string]any){
		"another version":      func(m map[string]any) { m["v"] = 1 },
		"no owner":             func(m map[string]any) { delete(m, "o") },
		"a mapped client":      func(m map[string]any) { m["c"] = "::ffff:203.0.113.7" },
		"a client with a zone": func(m map[string]any) { m["c"] = "fe80::1%eth0" },
		"no port":              func(m map[string]any) { delete(m, "p") },
		"a port without one":   func(m map[string]any) { m["m"] = "websocket" },
		"no such mode":         func(m map[string]any) { m["m"] = "door" },
		"a short token":        func(m map[string]any) { m["t"] = "YWJj" },
		"nowhere to go":        func(m map[string]any) { m["a"] = []string{} },
		"too many ways back":   func(m map[string]any) { m["r"] = make([][32]byte, 3) },
		"a short way back":     func(m map[string]any) { m["r"] = []string{"YWJj"} },
		"no channel":           func(m map[string]any) { m["n"] = 0 },
		"a ttl before now":     func(m map[string]any) { m["l"] = -1 },
		"a huge one":           func(m map[string]any) { m["u"] = strings.Repeat("x", recordMax) },
	} {
		t.Run(name, func(t *testing.T) {
			var m map[string]any
			r := describes(func(*grant) {}).record(noon)
			if err := json.Unmarshal(r.Value, &m); err != nil {
				t.Fatal(err)
			}
			change(m)
			r.Value, _ = json.Marshal(m)
			if g, err := r.grant(); err == nil {
				t.Errorf("understood as %+v", g)
			}
		})
	}
}

// Whatever a node is told, its tables stay consistent.
func FuzzRecord(f *testing.F) {
	f.Add("id", describes(func(*grant) {}).record(noon).Value)
	f.Add("", []byte("{"))
	f.Fuzz(func(t *testing.T, id string, value []byte) {
		g, err := Record{ID: ConnectionID(id), Expires: noon.Add(time.Hour), Value: value}.grant()
		if err != nil {
			return
		}
		reg := newRegistry()
		reg.learn(g, noon)
		reg.learn(g, noon)
		reg.unlearn(g)
		if len(reg.others)+len(reg.tokens)+len(reg.slots)+len(reg.byKey)+len(reg.clients)+len(reg.inUse)+len(reg.resumes)+len(reg.desks) > 0 {
			t.Errorf("something is left of %+v", g)
		}
	})
}
