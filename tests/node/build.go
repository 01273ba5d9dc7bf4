package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	// binaryVariable tells which binary to test; WithBinary builds it otherwise.
	binaryVariable = "VDI_GATEWAY_E2E_BINARY"
	buildTime      = 10 * time.Minute
)

// Binary is the program to test, within WithBinary.
func Binary() string { return os.Getenv(binaryVariable) }

// WithBinary runs the tests of a package with a binary of the program, built once for
// all of them, and returns their exit code.
func WithBinary(run func() int) int {
	if Binary() != "" {
		return run()
	}
	dir, err := os.MkdirTemp("", "vdi-gateway-tests-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		ctx, cancel := context.WithTimeout(context.Background(), buildTime)
		defer cancel()
		var binary string
		if binary, err = Build(ctx, dir); err == nil {
			err = os.Setenv(binaryVariable, binary)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run()
}

// Build compiles the program into dir and returns the path of the binary. Under
// the race detector the program has it, too, and a race makes it end with an
// exit code of its own.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "vdi-gateway")
	cmd := exec.CommandContext(ctx, "go", "build", buildFlags, "-buildvcs=false", "-o", binary, "vdi-gateway") //nolint:gosec // the path is ours
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build vdi-gateway: %w: %s", err, out)
	}
	return binary, nil
}
