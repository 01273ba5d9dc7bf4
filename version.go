package main

import (
	"fmt"
	"runtime"
)

type versionCommand struct{}

// Run prints the version and what built it.
func (versionCommand) Run() error {
	fmt.Printf("vdi-gateway %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
