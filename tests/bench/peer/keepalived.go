package peer

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vdi-gateway/tests/lab"
)

// VRRP is how a router takes part in the election for a virtual address.
type VRRP struct {
	Virtual  netip.Addr
	Priority int
	Interval time.Duration // between advertisements
}

// Keepalived starts Keepalived on host with version 3 of the protocol, and does not
// wait. The rest is as the product has it by default: router id, multicast, the
// interface's own MAC, and no preemption. It keeps its files in dir.
func Keepalived(host *lab.Host, c VRRP, dir string) (*Router, error) {
	return keepalived(host, dir, fmt.Sprintf(`vrrp_instance gateway {
	state BACKUP
	interface eth0
	version 3
	virtual_router_id 1
	priority %d
	advert_int %.2f
	nopreempt
	virtual_ipaddress {
		%s/32
	}
}
`, c.Priority, c.Interval.Seconds(), c.Virtual))
}

// OriginalKeepalived starts Keepalived as the original generates its configuration:
// version 2, an advertisement a second, the same priority on all nodes. Left out are
// its scripts, which ask systemd whether services of the own host run.
func OriginalKeepalived(host *lab.Host, virtual netip.Addr, dir string) (*Router, error) {
	return keepalived(host, dir, fmt.Sprintf(`vrrp_instance gateway {
	state BACKUP
	interface eth0
	virtual_router_id 1
	virtual_ipaddress {
		%s
	}
}
`, virtual))
}

func keepalived(host *lab.Host, dir, instance string) (*Router, error) {
	path := filepath.Join(dir, "keepalived.conf")
	text := fmt.Sprintf("global_defs {\n\trouter_id %s\n}\n%s", host.Name(), instance)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	// Without a syslog daemon its log would go to the machine's console as well, which
	// may be slow: it writes there before it takes an address.
	p, err := start(host, "keepalived", "--dont-fork", "--log-console", "--no-syslog", "--vrrp", "--use-file", path,
		"--pid", filepath.Join(dir, "keepalived.pid"), "--vrrp_pid", filepath.Join(dir, "vrrp.pid"))
	if err != nil {
		return nil, err
	}
	return &Router{process: p, standby: "Entering BACKUP STATE"}, nil
}

// KeepalivedVersion is such as "Keepalived v2.2.7"; it says so when there is none.
func KeepalivedVersion() string {
	fields := strings.Fields(version("keepalived", "--version"))
	if len(fields) < 2 {
		return "no Keepalived"
	}
	return "Keepalived " + fields[1]
}
