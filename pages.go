package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"
)

type pagesCommand struct {
	Folder string `arg:"" help:"The folder."`
}

// Run writes what a package brings along beside the program: made of the command line
// itself, so that neither forgets what the other knows.
func (c *pagesCommand) Run(ctx context.Context) error {
	for name, text := range pages(newParser(ctx).Model.Node) {
		if err := os.WriteFile(filepath.Join(c.Folder, name), []byte(text), 0o644); err != nil { //nolint:gosec // everybody may read them
			return err
		}
	}
	return nil
}

// pages are the files by name.
func pages(root *kong.Node) map[string]string {
	return map[string]string{
		"vdi-gateway.8": manual(root), "vdi-gateway.bash": bashCompletion(root), "vdi-gateway.zsh": zshCompletion(root),
	}
}

// shown are the commands below a node that people are told of.
func shown(n *kong.Node) (list []*kong.Node) {
	for _, child := range n.Children {
		if !child.Hidden {
			list = append(list, child)
		}
	}
	return list
}

// flagsOf are the flags of a command that people are told of, without --help.
func flagsOf(n *kong.Node) (list []*kong.Flag) {
	for _, f := range n.Flags {
		if !f.Hidden && f.Name != "help" {
			list = append(list, f)
		}
	}
	return list
}
