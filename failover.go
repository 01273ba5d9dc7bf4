package main

import (
	"context"
	"fmt"
)

type failoverCommand struct {
	serverFlag
}

// Run has the Active node hand the virtual address over.
func (c *failoverCommand) Run(ctx context.Context) error {
	node, err := c.connect(ctx)
	if err != nil {
		return err
	}
	var answer struct {
		Node string `json:"node"`
	}
	if err := node.call(ctx, "POST", "/v3/failover/", struct{}{}, &answer); err != nil {
		return err
	}
	fmt.Printf("%s has handed the virtual address over\n", answer.Node)
	return nil
}
