package doctor

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

func TestNothingToDo(t *testing.T) {
	r := newRig(t, nil).start()
	active, backup := r.doctor(0), r.doctor(1)
	for i, d := range []diagnosis{active, backup} {
		r.fine(d)
		r.ends(d, 0, "ok")
		if d.PID != r.nodes[i].PID() {
			t.Errorf("got process %d as the node's, want %d", d.PID, r.nodes[i].PID())
		}
	}
	r.wants(active, "virtual_addr", "ok", "this node has")
	r.wants(backup, "virtual_addr", "ok", "node 10.99.0.1 has")
	r.wants(backup, "adverts", "ok", "those of 10.99.0.1 arrive")
	r.wants(backup, "mtu", "ok", "1500 bytes reach node 10.99.0.1")
	r.wants(backup, "revisions", "ok", "10.99.0.1")
}

// Other ways to have a cluster are as fine: nothing is found where nothing is wrong.
func TestNothingToDoInOtherWays(t *testing.T) {
	for name, over := range map[string]node.Settings{
		"unicast": {"vrrp": map[string]any{"router_id": routerID, "advert_ms": 300, "mode": "unicast"}},
		"IPv6":    {"virtual_addr": "fd99::100", "virtual_prefix_len": 128},
		"TLS":     {"ssl": true},
		"kernel":  {"forwarding": "kernel"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "IPv6" && !lab.IPv6() {
				t.Skip("this kernel has no IPv6")
			}
			r := newRig(t, over).start()
			d := r.doctor(1)
			r.fine(d)
			r.ends(d, 0, "ok")
			r.wants(d, "virtual_addr", "ok", "node 10.99.0.1 has")
			r.wants(d, "adverts", "ok", "arrive")
		})
	}
}

func TestAnotherMachineHasTheAddressOfIPv6(t *testing.T) {
	if !lab.IPv6() {
		t.Skip("this kernel has no IPv6")
	}
	r := newRig(t, node.Settings{"virtual_addr": "fd99::100", "virtual_prefix_len": 128})
	h := r.stranger("10.99.0.66/24")
	_, err := h.Run(r.soon(), exec.CommandContext(r.soon(), "ip", "addr", "add", "fd99::100/64", "dev", "eth0", "nodad"))
	r.try(err)
	r.wants(r.doctor(0), "virtual_addr", "fail", "another machine has fd99::100")
}

func TestSysctlsWereSetBack(t *testing.T) {
	r := newRig(t, node.Settings{"forwarding": "kernel"})
	r.sh(0, "sysctl -qw net.ipv4.ip_forward=0")
	r.wants(r.doctor(0), "sysctls", "ok", "net.ipv4.ip_forward is 0", "the node sets them")
	r.start()
	r.sh(0, "sysctl -qw net.ipv4.ip_forward=0")
	r.wants(r.doctor(0), "sysctls", "fail", "net.ipv4.ip_forward is 0, 1 is needed")
}

// Before a node is started there is no database; a doctor makes none.
func TestBeforeTheFirstStart(t *testing.T) {
	r := newRig(t, nil)
	r.configs[0].DB = filepath.Join(t.TempDir(), "settings.db")
	d := r.doctor(0)
	r.fine(d)
	r.ends(d, 0, "ok")
	if left, err := os.ReadDir(filepath.Dir(r.configs[0].DB)); err != nil || len(left) > 0 {
		t.Errorf("got %v and %v in the folder, want nothing", left, err)
	}
}

func TestAnotherMachineHasTheAddress(t *testing.T) {
	r := newRig(t, nil)
	r.stranger(virtual + "/24")
	d := r.doctor(0)
	r.wants(d, "virtual_addr", "fail", "another machine has "+virtual)
	r.ends(d, 1, "wrong")
	r.start() // a node takes it all the same: now there are two
	r.wants(r.doctor(1), "virtual_addr", "fail", "several hosts answer", "node 10.99.0.1")
}

func TestTheAddressWasLeftHere(t *testing.T) {
	r := newRig(t, nil)
	r.try(r.hosts[0].Take(addr(virtual)))
	r.wants(r.doctor(0), "virtual_addr", "fail", "although no node here is active", "vdi-gateway release")
}

func TestRouterIDIsTaken(t *testing.T) {
	r := newRig(t, nil)
	r.keepalived(r.stranger("10.99.0.66/24"), " version 3\n virtual_router_id 51\n priority 90\n advert_int 0.3\n virtual_ipaddress {\n  10.99.0.101/32\n }")
	d := r.doctor(1)
	r.wants(d, "router_id", "fail", "10.99.0.66", "for other addresses (10.99.0.101)")
	r.ends(d, 1, "wrong")
	r.fine(d, "router_id", "peers") // which are not started
}

// The original speaks version 2: what is said while it is being replaced.
func TestAnotherVersionIsSpoken(t *testing.T) {
	r := newRig(t, nil)
	r.keepalived(r.stranger("10.99.0.66/24"), " virtual_router_id 51\n priority 90\n virtual_ipaddress {\n  "+virtual+"\n }")
	r.wants(r.doctor(0, "--listen", "3s"), "router_id", "fail", "10.99.0.66 speaks version 2")
	r = newReplacing(t, r)
	d := r.doctor(0)
	r.wants(d, "router_id", "warn", "10.99.0.66", "docs/migrate.md")
	r.wants(d, "virtual_addr", "warn", "10.99.0.66", "docs/migrate.md")
}

// newReplacing has the nodes speak the original's version.
func newReplacing(t *testing.T, r *rig) *rig {
	t.Helper()
	for i, c := range r.configs {
		c.Settings["vrrp"] = map[string]any{"version": 2, "router_id": routerID, "advert_ms": 1000}
		r.try(node.Prepare(r.hosts[i], c))
	}
	return r
}

func TestPortsAreTaken(t *testing.T) {
	r := newRig(t, nil)
	for _, at := range []string{"10.99.0.1:8003", "0.0.0.0:5950"} {
		l, err := r.hosts[0].Listen(at)
		r.try(err)
		t.Cleanup(func() { _ = l.Close() })
	}
	d := r.doctor(0)
	r.wants(d, "ports", "fail", "10.99.0.1:8003 is taken by doctor.test", "which is for statistics", "[::]:5950", "which is for tunnels")
	r.ends(d, 1, "wrong")
	r.sh(1, "sysctl -qw net.ipv4.ip_local_port_range='5000 6000'")
	r.wants(r.doctor(1), "outgoing_ports", "warn", "net.ipv4.ip_local_reserved_ports=5900-5999,")
	r.sh(1, "sysctl -qw net.ipv4.ip_local_reserved_ports=5900-5999")
	r.wants(r.doctor(1), "outgoing_ports", "ok", "5000 to 6000")
}

func TestPeerHasOtherSettings(t *testing.T) {
	r := newRig(t, nil)
	// With another cluster_key neither takes the other's settings.
	for _, key := range []string{"another-key-of-the-cluster", "and-another-key-of-the-cluster"} {
		r.configs[1].Settings["cluster_key"] = key
		r.try(node.Prepare(r.hosts[1], r.configs[1]))
	}
	r.launch(0)
	r.launch(1)
	d := r.doctor(0)
	r.wants(d, "revisions", "fail", "node 10.99.0.2 has revision 3 of the settings, this one 1")
	r.ends(d, 1, "wrong")
}

func TestPeerIsSilent(t *testing.T) {
	r := newRig(t, nil)
	r.launch(0)
	r.wants(r.doctor(0), "peers", "fail", "node 10.99.0.2 does not answer")
	r.try(r.hosts[1].Unplug())
	r.wants(r.doctor(0), "mtu", "unknown", "node 10.99.0.2")
}

// A clock cannot be set in a namespace: somebody who answers as a node does has another
// one, and another version.
func TestPeerHasAnotherClock(t *testing.T) {
	r := newRig(t, nil)
	l, err := r.hosts[1].Listen("10.99.0.2:8000")
	r.try(err)
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(90*time.Second).UTC().Format(http.TimeFormat))
		_, _ = w.Write([]byte(`{"status":"ok","version":"9.9.9","role":"backup","settings_revision":1}`))
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	d := r.doctor(0)
	r.wants(d, "clock", "fail", "node 10.99.0.2", "ahead of")
	r.wants(d, "versions", "warn", "9.9.9")
	r.wants(d, "revisions", "ok")
}

func TestAdvertsDoNotArrive(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("nft is not installed")
	}
	r := newRig(t, nil).start()
	r.try(r.hosts[1].Mute("ip protocol 112"))
	r.eventually("both nodes are active", func() bool { return r.role(1) == "active" })
	d := r.doctor(1)
	r.wants(d, "adverts", "fail", "node 10.99.0.1 says that it is active, but none of its adverts arrived", "unicast")
	r.wants(d, "adverts", "fail", "this node is active, and so is 10.99.0.1")
	r.ends(d, 1, "wrong")
}

// A switch drops gratuitous ARP on the way to a host, which has noted another owner.
func TestAnnouncementDidNotArrive(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("nft is not installed")
	}
	r := newRig(t, nil).start()
	r.try(r.hosts[1].Mute("arp saddr ip " + virtual + " arp daddr ip " + virtual))
	r.sh(1, "ip neigh replace "+virtual+" lladdr 02:00:00:00:00:99 dev eth0 nud stale")
	r.wants(r.doctor(1), "announcements", "fail", "02:00:00:00:00:99", "gratuitous ARP")
	r.try(r.hosts[1].Unmute())
	r.sh(1, "ip neigh flush dev eth0")
	r.wants(r.doctor(1), "announcements", "ok")
}

func TestLargePacketsVanish(t *testing.T) {
	r := newRig(t, nil).start()
	r.sh(1, "ip link set eth0 mtu 1280")
	r.wants(r.doctor(0), "mtu", "fail", "packets of 1500 bytes to node 10.99.0.2 vanish")
}

func TestInterfaceHasNoLink(t *testing.T) {
	r := newRig(t, nil)
	r.try(r.hosts[0].Cut())
	d := r.doctor(0)
	r.wants(d, "interface", "fail", "has no link")
	r.ends(d, 1, "wrong")
	r.configs[1].Settings["interface"] = "eth9"
	r.try(node.Prepare(r.hosts[1], r.configs[1]))
	r.wants(r.doctor(1), "interface", "fail", "there is no interface eth9")
}

func TestDispatchersAreLost(t *testing.T) {
	r := newRig(t, node.Settings{"disp_addrs": []string{"10.99.0.200", "no-such-host.invalid"}})
	d := r.doctor(0)
	r.wants(d, "dispatchers", "fail", "10.99.0.200:4200 does not answer")
	r.wants(d, "dispatchers", "fail", "no-such-host.invalid:4200 cannot be resolved")
	l, err := r.stranger("10.99.0.200/24").Listen("10.99.0.200:4200")
	r.try(err)
	t.Cleanup(func() { _ = l.Close() })
	d = r.doctor(0)
	r.wants(d, "dispatchers", "ok", "10.99.0.200:4200 answers")
	r.wants(d, "dispatchers", "warn", "no-such-host.invalid")
}

// Who may not read the database is told so. Who may, sees all that needs no root.
func TestWithoutRoot(t *testing.T) {
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip("setpriv is not installed")
	}
	r := newRig(t, nil)
	folder, err := os.MkdirTemp("/tmp", "doctor") // others may not enter TempDir
	r.try(err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	binary, db := filepath.Join(folder, "vdi-gateway"), filepath.Join(folder, "settings.db")
	r.sh(0, "cp "+node.Binary()+" "+binary+" && cp "+r.configs[0].DB+" "+db+" && chmod 755 "+folder+" "+binary)
	nobody := func() diagnosis {
		return r.run(0, exec.CommandContext(r.soon(), "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
			binary, "doctor", "--json", "--db", db))
	}
	d := nobody()
	r.wants(d, "database", "unknown", "cannot be read")
	r.ends(d, 2, "unknown")
	r.sh(0, "chmod 777 "+folder+" && chown 65534:65534 "+db)
	d = nobody()
	r.wants(d, "database", "ok", "revision 1")
	r.wants(d, "interface", "ok", "eth0")
	r.wants(d, "capabilities", "unknown", "CAP_NET_ADMIN")
	for _, name := range []string{"virtual_addr", "router_id", "adverts", "mtu"} {
		r.wants(d, name, "unknown", "CAP_NET_RAW")
	}
}

func TestForPeople(t *testing.T) {
	r := newRig(t, nil)
	r.stranger(virtual + "/24")
	out, err := r.hosts[0].Run(r.soon(), exec.CommandContext(r.soon(), node.Binary(), "doctor", "--db", r.configs[0].DB))
	if err == nil || !strings.Contains(out, "\nfail     virtual_addr    another machine has "+virtual) || !strings.Contains(out, "-> find that machine") {
		t.Errorf("got %v and\n%s\nwant the finding and what to do", err, out)
	}
}
