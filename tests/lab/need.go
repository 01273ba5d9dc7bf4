package lab

import (
	"os/exec"
	"testing"
)

// Need skips a test where one of the commands is missing.
func Need(t testing.TB, commands ...string) {
	t.Helper()
	for _, c := range commands {
		if _, err := exec.LookPath(c); err != nil {
			t.Skipf("%s is not installed", c)
		}
	}
}
