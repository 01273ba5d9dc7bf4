package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"text/tabwriter"
	"time"

	"vdi-gateway/api"
)

type statusCommand struct {
	serverFlag
	JSON bool `name:"json" help:"Print the answer of the API."`
}

// errNotServing makes the command end with a status that scripts can test.
var errNotServing = errors.New("the node does not serve")

// Run shows the node's health; a node that does not serve is an error.
func (c *statusCommand) Run(ctx context.Context) error {
	node, err := c.connect(ctx)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	err = node.call(ctx, "GET", "/v3/health/", nil, &raw)
	if err != nil && !isStatus(err, http.StatusServiceUnavailable) {
		return err
	}
	var h api.Health
	if err := json.Unmarshal(raw, &h); err != nil {
		return fmt.Errorf("the node's answer is not understood: %w", err)
	}
	if c.JSON {
		fmt.Println(string(raw))
	} else if err := printHealth(h); err != nil {
		return err
	}
	if err != nil {
		return errNotServing
	}
	return nil
}

func printHealth(h api.Health) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	row("status", "%s", h.Status)
	row("node", "%s", h.Node)
	row("version", "%s", h.Version)
	row("up for", "%s", (time.Duration(h.UptimeS) * time.Second).String())
	row("role", "%s", h.Role)
	if h.VirtualAddr.Addr != "" {
		row("virtual address", "%s, held here: %t", h.VirtualAddr.Addr, h.VirtualAddr.Held)
	}
	row("settings", "revision %d", h.SettingsRevision)
	row("connections", "%d of %s", h.Capacity.Used, limit(h.Capacity.Max))
	row("free ports", "%d", h.Capacity.FreePorts)
	if len(h.Cluster) > 1 {
		for _, m := range h.Cluster {
			row("cluster "+m.Node, "%s, role %s, %d connections, settings revision %d", life(m.Alive), m.Role, m.Connections, m.Revision)
		}
	}
	for _, d := range h.Dispatchers {
		row("dispatcher", "%s %s", d.Addr, verdict(d.OK))
	}
	for _, c := range h.Checks {
		row("check "+c.Name, "%s %s", verdict(c.OK), c.Detail)
	}
	return w.Flush()
}

func life(alive bool) string {
	if alive {
		return "alive"
	}
	return "NOT ALIVE"
}

func limit(n int) string {
	if n == 0 {
		return "any number"
	}
	return fmt.Sprint(n)
}

func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "FAILED"
}
