package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
)

// Counter counts packets that arrive at a host.
type Counter struct {
	host  *Host
	table string
}

// Count starts to count the packets that arrive at the host and match an
// expression of nft, such as `tcp flags syn`, whether somebody wants them or
// not. It needs the command nft.
func (h *Host) Count(match string) (*Counter, error) {
	h.mu.Lock()
	h.counters++
	c := &Counter{host: h, table: fmt.Sprintf("lab%d", h.counters)}
	h.mu.Unlock()
	_, err := c.host.nft(fmt.Sprintf(`table inet %s {
	counter seen { }
	chain arriving {
		type filter hook input priority -300;
		%s counter name seen
	}
}`, c.table, match), "-f", "-")
	return c, err
}

// Packets is how many have arrived since Count.
func (c *Counter) Packets() (int, error) {
	text, err := c.host.nft("", "-j", "list", "counter", "inet", c.table, "seen")
	if err != nil {
		return 0, err
	}
	var list struct {
		Nftables []struct {
			Counter *struct{ Packets int }
		}
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return 0, fmt.Errorf("read nft's counter: %w", err)
	}
	for _, entry := range list.Nftables {
		if entry.Counter != nil {
			return entry.Counter.Packets, nil
		}
	}
	return 0, fmt.Errorf("nft lists no counter in %q", text)
}

func (h *Host) nft(script string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nft", args...) //nolint:gosec // written here
	cmd.Stdin = strings.NewReader(script)
	return h.Run(ctx, cmd)
}
