package browser

import (
	"os/exec"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

// Inside has Chromium run in the network namespace at a path, as a host of a lab has one.
func Inside(t testing.TB, namespace string) chromedp.ExecAllocatorOption {
	t.Helper()
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		t.Skip("nsenter is not installed: tests/install.sh")
	}
	return chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
		cmd.Path, cmd.Args = nsenter, append([]string{"nsenter", "--net=" + namespace, cmd.Path}, cmd.Args[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	})
}
