// Command notices writes THIRD-PARTY-NOTICES: every module that is linked into
// vdi-gateway with its version, the name of its licence and the licence's text,
// taken from the module cache, and what lies in the repository but was written
// by others. `make generate` runs it at the top of the repository; a test beside
// it fails while the file is not what it would write.
//
// A module whose licence has no text or is not one of the known ones is an
// error: somebody has to read it before it is shipped.
package main

import (
	"context"
	"fmt"
	"os"
)

// file is what is written, below the top of the repository.
const file = "THIRD-PARTY-NOTICES"

func main() {
	if err := write(context.Background(), "."); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

// write makes the file in root anew.
func write(ctx context.Context, root string) error {
	works, err := all(ctx, root)
	if err != nil {
		return err
	}
	return os.WriteFile(root+"/"+file, render(works), 0o644) //nolint:gosec // for everyone to read
}

// all lists what of others is in the binary.
func all(ctx context.Context, root string) ([]work, error) {
	modules, err := linked(ctx, root)
	if err != nil {
		return nil, err
	}
	files, err := vendored(root)
	return append(modules, files...), err
}
