package doctor

import (
	"flag"
	"os"
	"testing"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// together is how many tests run at once: they wait for timers most of the time.
const together = "4"

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", together) // go test would have as many as processors
	os.Exit(lab.Main(func() int { return node.WithBinary(m.Run) }))
}
