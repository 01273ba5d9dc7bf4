package peer

import (
	"net/netip"
	"path/filepath"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// Product is vdi-gateway's service tunnel: the binary as `vdi-gateway run` on
// settings that make the target its only dispatcher.
func Product(binary string) Kind {
	return Kind{"ours", func(host *lab.Host, listen, target netip.AddrPort, dir string) (process, error) {
		n, err := node.Start(host, node.Config{
			Binary: binary,
			DB:     filepath.Join(dir, "settings.db"),
			Settings: node.Settings{
				"service_port": listen.Port(),
				"disp_addrs":   []string{target.Addr().String()},
				"disp_port":    target.Port(),
			},
		})
		return product{n}, err
	}}
}

// product is a node as a process.
type product struct{ *node.Node }

// Output is what it printed.
func (p product) Output() string { return p.Log() }
