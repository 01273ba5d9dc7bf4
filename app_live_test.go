package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The service tunnel follows the settings, and tries the next dispatcher.
func TestServiceTunnelFollowsTheSettings(t *testing.T) {
	t.Parallel()
	vm := startVM(t)
	n := startNode(t, nil)
	service := tunnel{Address: n.addr.String(), Port: testService}
	closed := func() bool {
		c, err := net.Dial("tcp", net.JoinHostPort(service.Address, fmt.Sprint(service.Port)))
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	}
	if !closed() {
		t.Error("the service port is open without dispatchers")
	}
	n.change(t, "", keys{"disp_addrs": []string{"127.0.0.99", "127.0.0.1"}, "disp_port": vm.Port}) // nobody is at the first
	for range 3 {
		service.dial(t, netip.Addr{}).mustLive(t)
	}
	s := service.dial(t, netip.Addr{})
	s.mustLive(t)
	service.Port = testMoved
	n.change(t, "", keys{"service_port": testMoved})
	service.dial(t, netip.Addr{}).mustLive(t)
	s.mustLive(t) // what was open stays
	n.change(t, "", keys{"is_enabled": false})
	s.mustEnd(t)
	eventually(t, "the service port is closed", closed)
}

func TestTheNodesAddressMovesLive(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	vm := startVM(t)
	_, s := n.connect(t, vm, nil)
	next := loopback(t.Name() + " moved")
	n.change(t, "", keys{"internal_addrs": []string{next.String()}}) // listen_ip stays
	s.mustLive(t)
	if h := n.health(t, 200); h.Node != next.String() || h.Status != "ok" {
		t.Errorf("got node %s %s, want %s ok", h.Node, h.Status, next)
	}
	if tun, _ := n.connect(t, vm, nil); tun.Address != next.String() {
		t.Errorf("got a tunnel on %s, want %s", tun.Address, next)
	}
	r := n.call(t, 424, call{path: "/v3/change_settings/", body: keys{"listen_ip": "192.0.2.77"}})
	if _, message := r.refusal(t); !strings.Contains(message, "192.0.2.77") || !strings.Contains(message, next.String()) {
		t.Errorf("got %q, want the address and the node", message)
	}
}

// Of changes made for one revision one wins; no other is half taken.
func TestChangesAtOnce(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	const changes = 12
	var won, port atomic.Int64
	var all sync.WaitGroup
	for i := range changes {
		all.Go(func() {
			r, err := n.try(call{path: "/v3/change_settings/", body: keys{"disp_port": 5000 + i}, ifMatch: `"1"`})
			switch {
			case err != nil:
				t.Error(err)
			case r.status == 200:
				won.Add(1)
				port.Store(int64(5000 + i))
			case r.status != 409:
				t.Errorf("got status %d %s, want 200 or 409", r.status, r.body)
			}
		})
	}
	all.Wait()
	document, revision := n.settings(t)
	if won.Load() != 1 || revision != 2 || document["disp_port"] != float64(port.Load()) {
		t.Errorf("got %d winners, revision %d and disp_port %v, want 1, 2 and %d", won.Load(), revision, document["disp_port"], port.Load())
	}
}

// Changes of different keys at once, made for no revision: what was answered with 200 is
// there in the end.
func TestChangesOfOtherKeysAtOnce(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	posted := []keys{{"disp_port": 5001}, {"compression": false}, {"public_addr": "vdi.example.com"}}
	took := make([]bool, len(posted))
	var all sync.WaitGroup
	for i, k := range posted {
		all.Go(func() {
			r, err := n.try(call{path: "/v3/change_settings/", body: k})
			took[i] = err == nil && r.status == 200
		})
	}
	all.Wait()
	document, _ := n.settings(t)
	for i, k := range posted {
		for name, value := range k {
			if took[i] && fmt.Sprint(document[name]) != fmt.Sprint(value) {
				t.Errorf("%s: got %v, want %v, which was acknowledged", name, document[name], value)
			}
		}
	}
}

func TestLimitsChangeLive(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	vm := startVM(t)
	first := n.open(t, vm, nil)
	open := call{path: "/v3/open_connection/", key: testCLIKey, body: keys{"vm_address": "127.0.0.1", "vm_port": vm.Port, "probe": false}}
	for _, tt := range []struct {
		limits keys
		status int
		code   string
	}{
		{keys{"max_connections": 1, "open_per_client_per_s": 0}, 503, "OVERLOADED"},
		{keys{"max_per_client": 1, "open_per_client_per_s": 0}, 429, "RATE_LIMITED"},
	} {
		n.change(t, "", keys{"limits": tt.limits})
		r := n.call(t, tt.status, open)
		if code, _ := r.refusal(t); code != tt.code || r.header.Get("Retry-After") == "" {
			t.Errorf("%v: got %s, want %s with Retry-After", tt.limits, code, tt.code)
		}
	}
	n.change(t, "", keys{"limits": keys{"open_per_client_per_s": 0}})
	n.call(t, 201, open)
	give := call{path: "/v3/close_connection/", key: testCLIKey, body: keys{"connection_id": first.ID, "token": first.Token}}
	n.call(t, 200, give)
	n.change(t, "", keys{"limits": keys{"open_per_client_per_s": 1}})
	taken := 0
	for range 10 {
		if r, err := n.try(open); err == nil && r.status == 201 {
			taken++
		}
	}
	if taken < 1 || taken > 9 {
		t.Errorf("got %d of 10 tunnels, want about the burst of 2", taken)
	}
}

func TestHangupEndsNothing(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	_, s := n.connect(t, startVM(t), nil)
	if err := n.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	n.call(t, 200, call{path: "/v3/health/"})
	s.mustLive(t)
}

// A VM that does not answer keeps nobody waiting who wants to stop.
func TestAStopDoesNotWaitForAVM(t *testing.T) {
	t.Parallel()
	n := startNode(t, keys{"timeouts": keys{"dial_ms": 120000}})
	vm := startMuteVM(t)
	probing := make(chan reply, 1)
	go func() {
		r, _ := n.try(call{path: "/v3/open_connection/", key: testCLIKey, body: keys{"vm_address": "127.0.0.1", "vm_port": vm.Port}})
		probing <- r
	}()
	s := n.open(t, vm, nil).dial(t, netip.Addr{})       // its VM is dialled now
	asked := fmt.Sprintf(" 0100007F:%04X 02 ", vm.Port) // SYN_SENT
	eventually(t, "the VM is asked twice, by the probe and for the session", func() bool {
		table, err := os.ReadFile("/proc/net/tcp")
		return err == nil && strings.Count(string(table), asked) >= 2
	})
	if took := n.stop(t); took > 5*time.Second || n.code != 0 {
		t.Errorf("got code %d after %s, want 0 within 5s", n.code, took)
	}
	s.mustEnd(t)
	if r := <-probing; r.status/100 == 2 {
		t.Errorf("got status %d for a VM that never answered", r.status)
	}
}

// startMuteVM is a machine whose queue of connections is full: it neither
// accepts nor refuses another one.
func startMuteVM(tb testing.TB) *net.TCPAddr {
	tb.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		tb.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		tb.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		tb.Fatal(err)
	}
	vm := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}
	for { // until one is neither accepted nor refused
		c, err := net.DialTimeout("tcp", vm.String(), 100*time.Millisecond)
		if err != nil {
			return vm
		}
		tb.Cleanup(func() { _ = c.Close() })
	}
}
