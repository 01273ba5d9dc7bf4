package main

import (
	"errors"
	"io/fs"
	"net/netip"
	"testing"
	"time"

	"vdi-gateway/api/certificate"
)

func TestCertificateFinding(t *testing.T) {
	s := testSettings(t, netip.MustParseAddr("10.0.0.1"), keys{"ssl": true})
	plain := testSettings(t, netip.MustParseAddr("10.0.0.1"), nil)
	now := time.Now()
	pair, err := certificate.Renew(t.TempDir(), []string{"10.0.0.1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	judged(t, []finding{certificateFinding(plain, nil, nil, now)}, levelOK, "ssl is false")
	judged(t, []finding{certificateFinding(s, pair, nil, now)}, levelOK, "10.0.0.1")
	judged(t, []finding{certificateFinding(s, pair, nil, pair.Leaf.NotAfter.Add(-time.Hour))}, levelWarn, "ends on", "vdi-gateway cert renew")
	judged(t, []finding{certificateFinding(s, pair, nil, pair.Leaf.NotAfter.Add(time.Hour))}, levelFail, "expired")
	judged(t, []finding{certificateFinding(s, nil, errors.New("no PEM"), now)}, levelFail, "no PEM", "cert show")
	judged(t, []finding{certificateFinding(s, nil, fs.ErrPermission, now)}, levelUnknown, "root")
}
