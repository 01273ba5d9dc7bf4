// Command vdi-gateway is a remote-desktop gateway: the box through which
// people reach their virtual desktops.
//
// main.go reads the command line; app.go builds the parts and owns the order
// in which they start and stop; plan.go derives each part's wanted state from
// the settings; change.go changes them. Every command has a file of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set by the linker: -X main.version=...
var version = "0.0.0-dev"

// commandLine is everything vdi-gateway can be told to do.
type commandLine struct {
	Run         runCommand         `cmd:"" help:"Run a node of the gateway."`
	Demo        demoCommand        `cmd:"" help:"Show a desktop session flowing through a node on this machine; needs no root, no server and leaves nothing behind."`
	Settings    settingsCommand    `cmd:"" help:"Read and change the settings document of a database while no node runs on it."`
	Cert        certCommand        `cmd:"" help:"Show or renew the TLS certificate of this node."`
	Status      statusCommand      `cmd:"" help:"Show how a running node does."`
	Connections connectionsCommand `cmd:"" help:"List the connections of a running node."`
	Disconnect  disconnectCommand  `cmd:"" help:"End connections of a running node."`
	Doctor      doctorCommand      `cmd:"" help:"Look for what keeps a node from serving, or a cluster from staying one, and say what to do; beside a running node or before one is started."`
	Failover    failoverCommand    `cmd:"" help:"Have the node that holds the virtual address hand it over to another one."`
	Join        joinCommand        `cmd:"" help:"Make this machine a node of a cluster."`
	Leave       leaveCommand       `cmd:"" help:"Take this machine out of its cluster; it is a node alone then, with new keys."`
	Release     releaseCommand     `cmd:"" help:"Remove the virtual address from this host; for the systemd unit, after the node has ended."`
	Guard       guardCommand       `cmd:"" hidden:"" help:"Guard the virtual address of the process that started this one."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
	Pages       pagesCommand       `cmd:"" hidden:"" help:"Write the manual page and the completions of shells into a folder."`
}

// databaseFlag is shared by all commands that touch the database.
type databaseFlag struct {
	DB string `name:"db" default:"/opt/vdi-gateway/app/settings.db" env:"VDI_GATEWAY_DB" placeholder:"FILE" help:"Settings database (default: ${default}; or $$${env})."`
}

const description = `vdi-gateway lets people reach their virtual desktops (VNC, SPICE, RDP or any TCP) through one box that checks who may use which VM.

Try "vdi-gateway demo" first. A node of your own is "vdi-gateway run --db FILE"; the database is made when it is not there, and "vdi-gateway settings get --db FILE" shows its keys.`

// newParser reads the command line; commands get ctx.
func newParser(ctx context.Context) *kong.Kong {
	return kong.Must(&commandLine{}, kong.Name("vdi-gateway"), kong.Description(description), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.BindTo(ctx, (*context.Context)(nil)))
}

func main() {
	// SIGHUP is kept for a reload in place; until then it must not end sessions.
	signal.Ignore(syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	parser := newParser(ctx)
	parsed, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	if err := parsed.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "vdi-gateway: %v\n", err)
		os.Exit(exitCode(err))
	}
}

// exitCode is 1, unless the error has one of its own.
func exitCode(err error) int {
	var own interface{ exitCode() int }
	if errors.As(err, &own) {
		return own.exitCode()
	}
	return 1
}
