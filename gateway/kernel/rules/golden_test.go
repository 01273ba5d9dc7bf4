package rules

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden texts anew")

// Table by table what nft says of it.
func TestTableAsNftListsIt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
	}{
		{"apart", func(c *Config) {
			c.OutsideInterface, c.InsideInterface = "outer0", "inner0"
			c.Clients = []Range{{addr("10.9.0.0"), addr("10.9.0.99")}, {addr("10.9.0.100"), addr("10.9.0.255")}, {addr("fd09::"), addr("fd09::ffff")}}
		}},
		{"shared", func(c *Config) {
			c.Virtual = c.Virtual[:1]
			c.Inside = []netip.Addr{c.Virtual[0]}
			c.InsideInterface = "eth0"
		}},
		{"resident", func(c *Config) { c.Inside = nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			tt.change(&r.cfg)
			r.apply()
			limited := r.grant(r.client, 0, 5937)
			limited.Limit = 2
			r.add(limited, r.grant(r.client, 1, 5900), relayed(r.other, 0, 5938), relayed(r.other, 1, 5901))
			path := filepath.Join("testdata", tt.name+".nft")
			got := r.table()
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			sameText(t, path, got, string(want))
			r.nft("delete table inet " + tableName)
			r.command(r.gateway, "nft", "-c", "-f", path) // nft takes what it lists
		})
	}
}
