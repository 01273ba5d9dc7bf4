package main

import (
	"context"
	"fmt"
)

type disconnectCommand struct {
	serverFlag
	IDs    []string `arg:"" optional:"" name:"connection-id" xor:"selector" help:"Connections to end."`
	User   string   `xor:"selector" help:"End all of this user."`
	VM     string   `name:"vm" placeholder:"ADDR" xor:"selector" help:"End all to this VM."`
	Client string   `placeholder:"ADDR" xor:"selector" help:"End all from this address."`
	All    bool     `xor:"selector" help:"End all."`
	Reason string   `help:"Why, for the journal."`
}

// Run ends what is selected and tells what was.
func (c *disconnectCommand) Run(ctx context.Context) error {
	body := map[string]any{}
	switch {
	case len(c.IDs) > 0:
		body["connection_ids"] = c.IDs
	case c.User != "":
		body["user"] = c.User
	case c.VM != "":
		body["vm_address"] = c.VM
	case c.Client != "":
		body["client_addr"] = c.Client
	case c.All:
		body["all"] = true
	default:
		return fmt.Errorf("say what to end: connection ids, --user, --vm, --client or --all")
	}
	if c.Reason != "" {
		body["reason"] = c.Reason
	}
	api, err := c.connect(ctx)
	if err != nil {
		return err
	}
	var answer struct {
		Disconnected []string `json:"disconnected"`
		NotFound     []string `json:"not_found"`
	}
	if err := api.call(ctx, "POST", "/v3/disconnect/", body, &answer); err != nil {
		return err
	}
	for _, id := range answer.Disconnected {
		fmt.Println("ended", id)
	}
	for _, id := range answer.NotFound {
		fmt.Println("not found", id)
	}
	if len(answer.Disconnected)+len(answer.NotFound) == 0 {
		fmt.Println("nothing to end")
	}
	return nil
}
