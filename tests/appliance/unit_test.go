package appliance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// unit is the folder of what the package brings for systemd.
const unit = "../../systemd"

// exposure is what `systemd-analyze security` may find at most, in tenths: 0 is a service
// that can do nothing, 96 one that can do all.
const exposure = "22"

// verifiable writes the unit so that it can be verified where the program is not
// installed, and returns its path.
func verifiable(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(unit, "vdi-gateway.service"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "vdi-gateway.service")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "/usr/bin/vdi-gateway", "/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func analyze(t *testing.T, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze (package systemd)")
	}
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestSystemdUnderstandsTheUnit(t *testing.T) {
	path := verifiable(t)
	for line := range strings.Lines(analyze(t, "verify", "--man=no", path)) {
		if strings.Contains(line, "vdi-gateway") {
			t.Error(line)
		}
	}
}

func TestSystemdNoticesAWrongUnit(t *testing.T) {
	path := verifiable(t)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.ReplaceAll(string(text), "WatchdogSec=30s", "WatchdogSec=soon")
	if err := os.WriteFile(path, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := analyze(t, "verify", "--man=no", path); !strings.Contains(out, "vdi-gateway.service:") {
		t.Errorf("got %q, want the line named", out)
	}
}

func TestTheServiceIsConfined(t *testing.T) {
	analyze(t, "security", "--offline=true", "--no-pager", "--threshold="+exposure, verifiable(t))
}
