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

// HAProxyVersion is such as "HAProxy 2.6.12-1+deb12u2"; it says so when there
// is none.
func HAProxyVersion() string {
	fields := strings.Fields(version("haproxy", "-v"))
	if len(fields) < 3 {
		return "no HAProxy"
	}
	return "HAProxy " + fields[2]
}
