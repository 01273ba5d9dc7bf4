package rfb

import (
	"net/netip"
	"strings"
	"testing"

	"vdi-gateway/tests/xvnc"
)

func TestQEMU(t *testing.T) {
	ca := xvnc.NewAuthority(t, "the VMs' authority")
	cert := ca.Valid(t, "127.0.0.1")
	dir := ca.Store(t, cert)
	x509 := func(more string) []string {
		return []string{"-object", "tls-creds-x509,id=tls0,endpoint=server,dir=" + dir + more}
	}
	anonymous := []string{"-object", "tls-creds-anon,id=tls0,endpoint=server"}
	loopback := netip.MustParseAddr("127.0.0.1")
	trust := &Trust{CA: ca.PEM, SHA256: xvnc.SHA256(cert)}
	for _, tc := range []struct {
		name string
		vnc  string
		args []string
		cfg  Config
		want Type
		kind Kind // of the error; "": none
		text string
	}{
		{"None", "", nil, Config{}, None, "", ""},
		{"VncAuth", ",password=on", nil, Config{Password: "secret12"}, VncAuth, "", ""},
		{"X509None", ",tls-creds=tls0", x509(",verify-peer=off"), Config{Trust: trust}, X509None, "", ""},
		{"X509Vnc", ",password=on,tls-creds=tls0", x509(",verify-peer=off"), Config{Password: "secret12", Trust: trust}, X509Vnc, "", ""},
		{"X509Vnc with TLS 1.2", ",password=on,tls-creds=tls0", x509(",verify-peer=off,priority=NORMAL:-VERS-ALL:+VERS-TLS1.2"), Config{Password: "secret12", Trust: trust}, X509Vnc, "", ""},

		{"wrong password", ",password=on", nil, Config{Password: "wrong"}, 0, AuthFailed, `"Authentication failed"`},
		{"wrong password in TLS", ",password=on,tls-creds=tls0", x509(",verify-peer=off"), Config{Password: "wrong", Trust: trust}, 0, AuthFailed, "rejects X509Vnc"},
		{"no TLS although that is a must", ",password=on", nil, Config{Password: "secret12", Trust: trust}, 0, NoCommonType, "it offers VncAuth: vm_tls is given"},
		{"anonymous TLS", ",password=on,tls-creds=tls0", anonymous, Config{Password: "secret12"}, 0, NoCommonType, "QEMU: tls-creds-x509 in place of tls-creds-anon"},
		{"another host", ",tls-creds=tls0", x509(",verify-peer=off"), Config{Host: "10.9.9.9", Trust: trust}, 0, CertificateRejected, `expected a certificate for 10.9.9.9, got one of "CN=a VM" for "127.0.0.1"`},
		{"it wants a certificate", ",tls-creds=tls0", x509(",verify-peer=on"), Config{Trust: trust}, 0, Closed, "QEMU: verify-peer=off"},
		{"it wants a certificate, with TLS 1.2", ",tls-creds=tls0", x509(",verify-peer=on,priority=NORMAL:-VERS-ALL:+VERS-TLS1.2"), Config{Trust: trust}, 0, Closed, "QEMU: verify-peer=off"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vm, report, err := connect(t, xvnc.StartQEMU(t, xvnc.Here, loopback, passwordFor(tc.vnc), tc.vnc, tc.args...).String(), tc.cfg)
			if tc.kind != "" {
				wantError(t, err, VM, tc.kind, tc.text)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = vm.Close() }()
			if report.Type != tc.want {
				t.Errorf("got %s, want %s", report.Type, tc.want)
			}
			look(t, vm, xvnc.QEMUName)
		})
	}
}

// passwordFor is the one to set, where the options say that there is one.
func passwordFor(vnc string) string {
	if strings.Contains(vnc, "password=on") {
		return "secret12"
	}
	return ""
}
