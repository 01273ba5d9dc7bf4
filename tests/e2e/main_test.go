package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// What the tests are told by their environment: the binary to test, which
// TestMain builds unless it is given, and where this binary is to be a VM.
const (
	binaryVariable = "VDI_GATEWAY_E2E_BINARY"
	vmVariable     = "VDI_GATEWAY_E2E_VM"
)

const buildTime = 10 * time.Minute

func TestMain(m *testing.M) {
	if addr := os.Getenv(vmVariable); addr != "" {
		os.Exit(beVM(addr))
	}
	os.Exit(lab.Main(func() int { return withBinary(m.Run) }))
}

func withBinary(run func() int) int {
	if os.Getenv(binaryVariable) != "" {
		return run()
	}
	dir, err := os.MkdirTemp("", "vdi-gateway-e2e-")
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
