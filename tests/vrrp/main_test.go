package vrrp

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// binaryVariable tells which binary to test; TestMain builds it otherwise.
const binaryVariable = "VDI_GATEWAY_E2E_BINARY"

const buildTime = 10 * time.Minute

// together is how many tests run at once: they wait for timers most of the time.
const together = "6"

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", together) // go test would have as many as processors
	os.Exit(lab.Main(func() int { return withBinary(m.Run) }))
}

func withBinary(run func() int) int {
	if os.Getenv(binaryVariable) != "" {
		return run()
	}
	dir, err := os.MkdirTemp("", "vdi-gateway-vrrp-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		ctx, cancel := context.WithTimeout(context.Background(), buildTime)
		defer cancel()
		var binary string
		if binary, err = node.Build(ctx, dir); err == nil {
			err = os.Setenv(binaryVariable, binary)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run()
}
