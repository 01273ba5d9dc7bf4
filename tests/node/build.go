package node

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

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
