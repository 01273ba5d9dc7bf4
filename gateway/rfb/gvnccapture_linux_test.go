package rfb

import (
	"image"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"vdi-gateway/tests/xvnc"
)

func TestGvnccapture(t *testing.T) {
	ca := xvnc.NewAuthority(t, "the gateway's authority")
	trusted := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(trusted, []byte(ca.PEM), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range viewerCases(t, ca) {
		t.Run(tc.name, func(t *testing.T) {
			b := &bridge{terms: tc.terms}
			startBridge(t, b)
			img, said, err := xvnc.TryCapture(t, xvnc.Here, xvnc.Login{
				Server: netip.MustParseAddrPort(b.addr), User: tc.user, Password: tc.password, CA: trusted,
			})
			tc.judge(t, b)
			if (err == nil) != (tc.kind == "") {
				t.Errorf("gvnccapture: %v\n%s", err, said)
			}
			if err == nil && img.Bounds() != image.Rect(0, 0, 800, 600) {
				t.Errorf("got a picture of %v, want one of 800x600", img.Bounds())
			}
		})
	}
}
