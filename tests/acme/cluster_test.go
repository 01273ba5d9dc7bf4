package acme

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/node"
)

func TestACluster(t *testing.T) {
	r := newRig(t, 2)
	r.start()
	r.holds(0)
	r.says(0, "acme", false, "issues no certificate")
	r.says(1, "acme", true, "another node asks")
	r.authority.start()
	first := r.served("the first certificate, by the virtual address", nil)
	began := time.Now()
	for i, h := range r.hosts {
		eventually(t, "each node shows it", func() bool {
			c, err := shown(r.client, netip.AddrPortFrom(h.Addr(), node.APIPort), r.authority.roots())
			return err == nil && c.Equal(first)
		})
		t.Logf("node %d shows it %s later", i+1, time.Since(began).Round(10*time.Millisecond))
	}
	r.standbyAnswers()

	// The other one takes over, with what it has.
	r.nodes[0].Kill()
	r.holds(1)
	if c, err := shown(r.client, r.api, r.authority.roots()); err != nil || !c.Equal(first) {
		t.Errorf("after the failover: got %v, want the same certificate", err)
	}
	r.says(1, "acme", true, "this node asks")
	if out, err := r.command(1, "cert", "renew"); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	second := r.served("the second certificate, of the other node", first)
	n, err := node.Launch(r.hosts[0], r.configs[0])
	if err != nil {
		t.Fatal(err)
	}
	r.nodes[0] = n
	began = time.Now()
	eventually(t, "the node that is back shows it", func() bool {
		c, err := shown(r.client, netip.AddrPortFrom(r.hosts[0].Addr(), node.APIPort), r.authority.roots())
		return err == nil && c.Equal(second)
	})
	t.Logf("the node that is back shows it after %s", time.Since(began).Round(10*time.Millisecond))

	// Asked at the node that is standby, the active one does it.
	if out, err := r.command(0, "cert", "renew"); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	r.served("the third certificate, asked for at the standby", second)
	if r.account(0) != r.account(1) {
		t.Error("the nodes have different accounts")
	}
}

// The order waits for a challenge that the authority cannot ask for when the address
// moves: the next node goes on, no other certificate is asked for, and nothing fails.
func TestTheAddressMovesInTheMiddleOfAnOrder(t *testing.T) {
	for name, move := range map[string]func(*rig){
		"by hand": func(r *rig) {
			if out, err := r.command(0, "failover"); err != nil {
				r.t.Fatalf("%s: %v", out, err)
			}
		},
		"since the node dies": func(r *rig) { r.nodes[0].Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath("nft"); err != nil {
				t.Skip("nft is not installed")
			}
			r := newRig(t, 2)
			r.start()
			r.holds(0)
			if err := r.authority.host.Mute("tcp dport 80"); err != nil {
				t.Fatal(err)
			}
			r.authority.start()
			eventually(t, "the other node has the challenge", func() bool { return len(r.challenges(1)) == 1 })
			move(r)
			r.holds(1)
			if err := r.authority.host.Unmute(); err != nil {
				t.Fatal(err)
			}
			r.served("the certificate, of the next node", nil)
			r.says(1, "acme", true, "this node asks")
			for i, n := range r.nodes {
				if got, want := strings.Count(n.Log(), "has issued a certificate"), i; got != want {
					t.Errorf("node %d: got %d certificates, want %d", i+1, got, want)
				}
			}
			if first, next := r.account(0), r.account(1); first != next {
				t.Error("got another account of the next node, want that of the first one")
			}
			if strings.Contains(r.nodes[0].Log(), "urn:ietf") || strings.Contains(r.nodes[1].Log(), "urn:ietf") {
				t.Error("the authority has refused something")
			}
		})
	}
}

// account is the key of the only account that a node knows.
func (r *rig) account(i int) string {
	r.t.Helper()
	list, err := filepath.Glob(r.files(i, "acme/*/users/*/*.key"))
	if err != nil || len(list) != 1 {
		r.t.Fatalf("got the accounts %q, %v, want one", list, err)
	}
	return mustRead(r.t, list[0])
}

// challenges are the files of those a node knows.
func (r *rig) challenges(i int) []string {
	r.t.Helper()
	list, err := filepath.Glob(r.files(i, "acme/*/challenge_tokens/*.json"))
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// holds waits until a node has the virtual address.
func (r *rig) holds(i int) {
	r.t.Helper()
	d := r.dispatcher(i)
	defer d.Close()
	eventually(r.t, fmt.Sprintf("node %d has the virtual address", i+1), func() bool {
		var h struct {
			VirtualAddr struct{ Held bool } `json:"virtual_addr"`
		}
		return d.Call(soon(r.t), "GET", "/v3/health/", nil, &h) == nil && h.VirtualAddr.Held
	})
}

// standbyAnswers has the second node asked for a challenge at its own listener on the
// virtual address, which it does not have: a route leads there.
func (r *rig) standbyAnswers() {
	r.t.Helper()
	list := r.challenges(1)
	if len(list) != 1 {
		r.t.Fatalf("got the challenges %q, want one", list)
	}
	var challenge struct{ Token, KeyAuthorization string }
	if err := json.Unmarshal([]byte(mustRead(r.t, list[0])), &challenge); err != nil {
		r.t.Fatal(err)
	}
	r.route(1, "add")
	defer r.route(1, "del")
	c, err := r.hosts[1].Dial(netip.Addr{}, netip.MustParseAddrPort(virtual+":80"), patience)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = fmt.Fprintf(c, "GET /.well-known/acme-challenge/%s HTTP/1.1\r\nHost: %s\r\n\r\n", challenge.Token, name)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || challenge.KeyAuthorization == "" || string(body) != challenge.KeyAuthorization {
		r.t.Errorf("got %q, %v, want %q", body, err, challenge.KeyAuthorization)
	}
}

func (r *rig) route(i int, what string) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "ip", "route", what, "local", virtual, "dev", "lo", "table", "local")
	if out, err := r.hosts[i].Run(soon(r.t), cmd); err != nil {
		r.t.Fatalf("%s: %v", out, err)
	}
}
