package cluster

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"vdi-gateway/tests/lab"
)

// originalHAProxy is what the original generates for two nodes; the last two arguments
// are options of their servers.
const originalHAProxy = `listen stats
    bind 10.99.0.100:8003
    mode http
    stats enable
    stats uri /
    http-request use-service prometheus-exporter if { path /metrics }

peers sticktables
    bind :10000
    server gw
    table sticky-sessions type ip size 1m

frontend service_tunnel
    bind 10.99.0.100:443
    default_backend service_tunnel
backend service_tunnel
    balance roundrobin
    server gateway_0 10.99.0.1:4300 check %[1]s
    server gateway_1 10.99.0.2:4300 check %[2]s

frontend client
    bind 10.99.0.100:8002
    default_backend client
backend client
    balance roundrobin
    stick match src table sticktables/sticky-sessions
    stick store-request src table sticktables/sticky-sessions
    server gateway_0 10.99.0.1:8000 check %[1]s
    server gateway_1 10.99.0.2:8000 check %[2]s

frontend tunnels
    bind 10.99.0.100:5900-5999,
    default_backend tunnels
backend tunnels
    balance roundrobin
    stick match src table sticktables/sticky-sessions
    stick store-request src table sticktables/sticky-sessions
    server gateway_0 10.99.0.1 %[1]s
    server gateway_1 10.99.0.2 %[2]s
`

// originalKeepalived is what it generates, and that is the same on all nodes.
const originalKeepalived = `global_defs {
    router_id gw
}
vrrp_instance gateway {
    state BACKUP
    interface eth0
    virtual_router_id 1
    virtual_ipaddress {
        10.99.0.100
    }
}
`

// originalNode is a host with a real HAProxy and a real Keepalived. The gateway between
// them is played: its API answers with a word, and its tunnels echo.
type originalNode struct {
	t          *testing.T
	host       *lab.Host
	folder     string
	haproxy    *lab.Process
	keepalived *lab.Process
	doors      []net.Listener
}

// originalWord is what the played API answers.
const originalWord = "the original"

// playedPorts are of tunnels.
func playedPorts() []uint16 { return []uint16{5900, 5901, 5902} }

func startOriginal(t *testing.T, h *lab.Host) *originalNode {
	t.Helper()
	o := &originalNode{t: t, host: h, folder: t.TempDir()}
	// HAProxy listens before the address is here.
	o.try2(h.Run(soon(t), exec.CommandContext(t.Context(), "sysctl", "-qw", "net.ipv4.ip_nonlocal_bind=1")))
	for _, port := range playedPorts() {
		l := o.listen(port)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
			}
		}()
	}
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, originalWord)
	})}
	api := o.listen(8000)
	go func() { _ = server.Serve(api) }()
	o.listen(4300)
	o.reload("", "")
	o.elect()
	return o
}

func (o *originalNode) try(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *originalNode) try2(_ string, err error) {
	o.t.Helper()
	o.try(err)
}

func (o *originalNode) listen(port uint16) net.Listener {
	o.t.Helper()
	l, err := o.host.Listen(netip.AddrPortFrom(o.host.Addr(), port).String())
	o.try(err)
	o.doors = append(o.doors, l)
	o.t.Cleanup(func() { _ = l.Close() })
	return l
}

func (o *originalNode) path(name string) string { return filepath.Join(o.folder, name) }

// reload gives HAProxy other options for the servers, as systemctl reload does: the one
// before serves what it has to the end.
func (o *originalNode) reload(first, second string) {
	o.t.Helper()
	o.try(os.WriteFile(o.path("haproxy.cfg"), fmt.Appendf(nil, originalHAProxy, first, second), 0o600))
	args := []string{"-db", "-L", "gw", "-f", o.path("haproxy.cfg")}
	if o.haproxy != nil {
		args = append(args, "-sf", fmt.Sprint(o.haproxy.PID()))
	}
	var err error
	o.haproxy, err = o.host.Start(exec.CommandContext(o.t.Context(), "haproxy", args...))
	o.try(err)
	o.listens("10.99.0.100:8003")
}

// listens waits until this HAProxy has its sockets.
func (o *originalNode) listens(at string) {
	o.t.Helper()
	eventually(o.t, "HAProxy listens", func() bool {
		out, err := o.host.Run(soon(o.t), exec.CommandContext(o.t.Context(), "ss", "-Hltnp", "src", at))
		return err == nil && strings.Contains(out, fmt.Sprintf("pid=%d,", o.haproxy.PID()))
	})
}

// elect starts Keepalived.
func (o *originalNode) elect() {
	o.t.Helper()
	o.try(os.WriteFile(o.path("keepalived.conf"), []byte(originalKeepalived), 0o600))
	var err error
	o.keepalived, err = o.host.Start(exec.CommandContext(o.t.Context(), "keepalived", "-n", "-l", "-D", "-P",
		"-f", o.path("keepalived.conf"), "-p", o.path("pid"), "-r", o.path("vrrp.pid")))
	o.try(err)
	eventually(o.t, "Keepalived competes", func() bool { return strings.Contains(o.keepalived.Output(), "STATE") })
}

// resign stops Keepalived, which gives the address up.
func (o *originalNode) resign() {
	o.t.Helper()
	o.try(syscall.Kill(o.keepalived.PID(), syscall.SIGTERM))
	<-o.keepalived.Exited()
}

// end stops the rest of the original.
func (o *originalNode) end() {
	o.t.Helper()
	if err := syscall.Kill(o.haproxy.PID(), syscall.SIGTERM); !errors.Is(err, syscall.ESRCH) {
		o.try(err)
	}
	<-o.haproxy.Exited()
	for _, l := range o.doors {
		_ = l.Close()
	}
}
