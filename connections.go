package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"text/tabwriter"
	"time"
)

type connectionsCommand struct {
	serverFlag
	State  string `enum:"granted,active," default:"" help:"Only those granted or active."`
	User   string `help:"Only those of this user."`
	VM     string `name:"vm" placeholder:"ADDR" help:"Only those to this VM."`
	Client string `placeholder:"ADDR" help:"Only those from this address."`
	JSON   bool   `name:"json" help:"Print the answers of the API, a connection a line."`
}

// connection is one entry of get_connections, as far as it is shown.
type connection struct {
	ID         string    `json:"connection_id"`
	Node       string    `json:"node"`
	State      string    `json:"state"`
	User       string    `json:"user"`
	VMAddr     string    `json:"vm_address"`
	VMPort     int       `json:"vm_port"`
	Protocol   string    `json:"protocol"`
	ClientAddr string    `json:"client_addr"`
	Port       int       `json:"port"`
	Mode       string    `json:"mode"`
	Channels   int       `json:"channels"`
	BytesUp    int64     `json:"bytes_up"`
	BytesDown  int64     `json:"bytes_down"`
	OpenedAt   time.Time `json:"opened_at"`
}

// Run lists the connections, page by page.
func (c *connectionsCommand) Run(ctx context.Context) error {
	api, err := c.connect(ctx)
	if err != nil {
		return err
	}
	show, finish := c.printer()
	cursor := ""
	for {
		var page struct {
			Next        *string           `json:"next"`
			Connections []json.RawMessage `json:"connections"`
		}
		if err := api.call(ctx, "GET", "/v3/get_connections/?"+c.query(cursor), nil, &page); err != nil {
			return err
		}
		for _, entry := range page.Connections {
			if err := show(entry); err != nil {
				return err
			}
		}
		if page.Next == nil || *page.Next == "" {
			return finish()
		}
		cursor = *page.Next
	}
}

func (c *connectionsCommand) query(cursor string) string {
	q := url.Values{}
	for key, value := range map[string]string{
		"state": c.State, "user": c.User, "vm_address": c.VM, "client_addr": c.Client, "cursor": cursor,
	} {
		if value != "" {
			q.Set(key, value)
		}
	}
	return q.Encode()
}

func (c *connectionsCommand) printer() (show func(json.RawMessage) error, finish func() error) {
	if c.JSON {
		return func(entry json.RawMessage) error {
			_, err := fmt.Println(string(entry))
			return err
		}, func() error { return nil }
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CONNECTION\tSTATE\tUSER\tCLIENT\tPORT\tVM\tPROTOCOL\tCHANNELS\tUP\tDOWN\tSINCE")
	return func(entry json.RawMessage) error {
		var e connection
		if err := json.Unmarshal(entry, &e); err != nil {
			return err
		}
		door := strconv.Itoa(e.Port)
		if e.Mode == "websocket" {
			door = "websocket"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s:%d\t%s\t%d\t%s\t%s\t%s\n", e.ID, e.State, e.User, e.ClientAddr, door,
			e.VMAddr, e.VMPort, e.Protocol, e.Channels, size(e.BytesUp), size(e.BytesDown), e.OpenedAt.Local().Format(time.DateTime))
		return nil
	}, w.Flush
}

// size prints bytes the way people read them.
func size(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, i := float64(n)/unit, 0
	for value >= unit && i < 4 {
		value, i = value/unit, i+1
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGTP"[i])
}
