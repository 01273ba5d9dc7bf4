//go:build e2e

package console

import (
	"testing"
	"time"

	"vdi-gateway/tests/browser"
)

// The page tries for half a minute, then leaves it to its user. The cases of
// state.js say when exactly; this is how it goes in real time.
func TestPatienceEnds(t *testing.T) {
	g, b := newGateway(t, sample(t)), browser.New(t)
	live(t, b, g)
	g.refuse("/console/resume", refusal{503, "OVERLOADED"})
	began := time.Now()
	g.cut()
	for at(t, b) != "ended" && time.Since(began) < time.Minute {
		time.Sleep(50 * time.Millisecond)
	}
	if took := time.Since(began); took < 29*time.Second || took > 35*time.Second {
		t.Errorf("it took %v, want half a minute", took)
	}
	tries := 0
	for _, path := range g.paths() {
		if path == "/console/resume" {
			tries++
		}
	}
	if tries < 20 || tries > 40 {
		t.Errorf("got %d attempts, want one in a second", tries)
	}
	g.refuse("/console/resume")
	press(t, b, "again")
	reaches(t, b, "live")
}
