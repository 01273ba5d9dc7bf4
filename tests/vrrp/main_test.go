package vrrp

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// together is how many tests run at once: they wait for timers most of the time.
const together = "6"

func TestMain(m *testing.M) {
	if run := routerMain(); run != nil { // this binary is also a router of its own
		if err := run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	_ = flag.Set("test.parallel", together) // go test would have as many as processors
	os.Exit(lab.Main(func() int { return node.WithBinary(m.Run) }))
}
