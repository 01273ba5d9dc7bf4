package main

import (
	"os"
	"os/signal"
	"syscall"

	"vdi-gateway/vrrp"
)

type guardCommand struct{}

// guardCommandLine starts this program as the guard of its virtual address, also when
// the file was replaced meanwhile.
func guardCommandLine() []string { return []string{"/proc/self/exe", "guard"} }

// Run guards the virtual address of the process that started it, until that one ends:
// signals for all processes of a service are not for the guard, nor is that of a watchdog.
func (c *guardCommand) Run() error {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGABRT)
	return vrrp.RunGuard(os.Stdin, os.Stdout)
}
