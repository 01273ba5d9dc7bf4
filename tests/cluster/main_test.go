package cluster

import (
	"context"
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

func TestMain(m *testing.M) {
	os.Exit(lab.Main(func() int { return withBinary(m.Run) }))
}

func withBinary(run func() int) int {
	if os.Getenv(binaryVariable) != "" {
		return run()
	}
	dir, err := os.MkdirTemp("", "vdi-gateway-cluster-")
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
