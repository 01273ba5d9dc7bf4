package peer

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"vdi-gateway/tests/lab"
)

// connectionsMax is how many connections peers are told to expect.
const connectionsMax = 8200

// HAProxy as it comes.
func HAProxy() Kind { return haproxy("haproxy", "", "") }

// TunedHAProxy splices always and has buffers of 64 KiB: the fastest setting
// for bulk data that was found. Its pipes are more than are used; a quarter of
// the connections, as by default, would be more than may be opened.
func TunedHAProxy() Kind {
	return haproxy("haproxy_tuned", "	tune.bufsize 65536\n	maxpipes 1000\n", "	option splice-request\n	option splice-response\n")
}

func haproxy(name, global, defaults string) Kind {
	return Kind{name, func(host *lab.Host, listen, target netip.AddrPort, dir string) (process, error) {
		path := filepath.Join(dir, "haproxy.cfg")
		text := fmt.Sprintf(`global
	maxconn %d
%sdefaults
	mode tcp
	timeout connect 5s
	timeout client 1h
	timeout server 1h
%slisten relay
	bind %s
	server target %s
`, connectionsMax, global, defaults, listen, target)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
		return start(host, "haproxy", "-db", "-f", path)
	}}
}

// HAProxyInFront starts HAProxy on host as the original has it: API and range of
// ports, clients kept with one of the nodes, to which it says who they are. The
// range leads to owner alone, if that is valid; it is a hundred ports from first
// on.
func HAProxyInFront(host *lab.Host, nodes []netip.Addr, owner netip.Addr, first uint16, file string) (*Relay, error) {
	servers := func(list []netip.Addr, port string) (text string) {
		for i, n := range list {
			text += fmt.Sprintf("	server n%d %s%s send-proxy-v2\n", i+1, n, port)
		}
		return text
	}
	owners := nodes
	if owner.IsValid() {
		owners = []netip.Addr{owner}
	}
	text := fmt.Sprintf(`global
	maxconn %d
defaults
	mode tcp
	timeout connect 5s
	timeout client 1h
	timeout server 1h
listen api
	bind %s:8002
	balance leastconn
	stick-table type ip size 20k expire 8h
	stick on src
%slisten tunnels
	bind %s:%d-%d
	balance leastconn
	stick on src table api
%s`, connectionsMax, host.Addr(), servers(nodes, ":8000"), host.Addr(), first, first+99, servers(owners, ""))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p, err := start(host, "haproxy", "-db", "-f", file)
	if err != nil {
		return nil, err
	}
	api := netip.AddrPortFrom(host.Addr(), 8002)
	if err := listens(host, api, p.PID()); err != nil {
		_ = p.Stop() // it never worked
		return nil, fmt.Errorf("start haproxy: %w %s", err, p.Output())
	}
	return &Relay{Addr: api, process: p}, nil
}

// HAProxyVersion is such as "HAProxy 2.6.12-1+deb12u2"; it says so when there
// is none.
func HAProxyVersion() string {
	fields := strings.Fields(version("haproxy", "-v"))
	if len(fields) < 3 {
		return "no HAProxy"
	}
	return "HAProxy " + fields[2]
}
