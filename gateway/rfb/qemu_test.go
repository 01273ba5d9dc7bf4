package rfb

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// monitor is QEMU's QMP on its standard input and output.
type monitor struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

// do executes a command and returns what it returned.
func (m monitor) do(command string, arguments map[string]any) json.RawMessage {
	m.t.Helper()
	text, err := json.Marshal(map[string]any{"execute": command, "arguments": arguments})
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(m.in, "%s\n", text); err != nil {
		m.t.Fatal(err)
	}
	for m.out.Scan() {
		var answer struct{ Return, Error json.RawMessage }
		if err := json.Unmarshal(m.out.Bytes(), &answer); err != nil {
			m.t.Fatal(err)
		}
		if answer.Return != nil {
			return answer.Return
		}
		if answer.Error != nil {
			m.t.Fatalf("QEMU: %s: %s", command, answer.Error)
		}
	}
	m.t.Fatalf("QEMU ended before it did %s: %v", command, m.out.Err())
	return nil
}

// startQEMU runs a machine without a processor that serves VNC as the options say, and
// returns the address.
func startQEMU(t *testing.T, password Secret, vnc string, args ...string) string {
	t.Helper()
	program := need(t, "qemu-system-x86_64")
	cmd := exec.Command(program, append([]string{
		"-machine", "none", "-nodefaults", "-S", "-display", "none", "-name", "a machine",
		"-qmp", "stdio", "-vnc", "127.0.0.1:150,to=400" + vnc,
	}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	run(t, cmd)
	silent := time.AfterFunc(patience, func() { _ = out.Close() })
	defer silent.Stop()
	m := monitor{t, in, bufio.NewScanner(out)}
	m.do("qmp_capabilities", map[string]any{})
	if password != "" {
		m.do("set_password", map[string]any{"protocol": "vnc", "password": password.Reveal()})
	}
	var server struct{ Host, Service string }
	if err := json.Unmarshal(m.do("query-vnc", map[string]any{}), &server); err != nil {
		t.Fatal(err)
	}
	return server.Host + ":" + server.Service
}

func TestQEMU(t *testing.T) {
	ca := newAuthority(t, "the VMs' authority")
	cert := ca.valid(t, "127.0.0.1")
	dir := ca.store(t, cert)
	x509 := func(more string) []string {
		return []string{"-object", "tls-creds-x509,id=tls0,endpoint=server,dir=" + dir + more}
	}
	anonymous := []string{"-object", "tls-creds-anon,id=tls0,endpoint=server"}
	const name = "QEMU (a machine)"
	trust := &Trust{CA: ca.pem, SHA256: sha256Of(cert)}
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
			vm, report, err := connect(t, startQEMU(t, passwordFor(tc.vnc), tc.vnc, tc.args...), tc.cfg)
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
			look(t, vm, name)
		})
	}
}

// passwordFor is the one to set, where the options say that there is one.
func passwordFor(vnc string) Secret {
	if strings.Contains(vnc, "password=on") {
		return "secret12"
	}
	return ""
}
