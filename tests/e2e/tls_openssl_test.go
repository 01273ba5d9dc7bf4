//go:build e2e

package e2e

import (
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sClient runs openssl s_client on the client's host, which believes the authority
// of s.
func (s *securePlace) sClient(t *testing.T, input string, args ...string) (string, error) {
	t.Helper()
	return run(t, s.client, input, need(t, "openssl"), append([]string{
		"s_client", "-connect", s.apiAt().String(), "-CAfile", s.rootFile(t), "-verify_return_error", "-verify_ip", gateAddr,
	}, args...)...)
}

// rootFile holds the root of the authority.
func (s *securePlace) rootFile(t *testing.T) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "root.crt")
	put(t, f, text("CERTIFICATE", s.authority.root.Raw))
	return f
}

const (
	lastRequest = "GET /livez HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n"
	cutOff      = "unexpected eof" // what openssl says when the other end says no goodbye
)

func TestTLSOpenSSL(t *testing.T) {
	s := newSecurePlace(t, nil)
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		out, err := s.sClient(t, lastRequest, version, "-ign_eof", "-showcerts")
		if err != nil {
			t.Errorf("%s: got %v, want an answer", version, err)
		}
		has(t, version, out, " 0 s:CN = gate", " 1 s:CN = e2e intermediate", "Verify return code: 0 (ok)", "HTTP/1.1 200 OK", "closed\n")
		hasNot(t, version, out, " 2 s:", cutOff)
	}
	for _, version := range []string{"-tls1_1", "-tls1"} {
		out, err := s.sClient(t, lastRequest, version, "-ign_eof", "-cipher", "DEFAULT@SECLEVEL=0")
		if err == nil {
			t.Errorf("%s: got an answer, want none", version)
		}
		has(t, version, out, "alert protocol version")
	}
	out, err := s.sClient(t, "", "-tls1_2", "-reconnect")
	if err != nil {
		t.Error(err)
	}
	if n := strings.Count(out, "Reused, TLSv1.2"); n != 5 {
		t.Errorf("-reconnect: got %d sessions resumed of 5, want all", n)
	}
	out, _ = s.sClient(t, "what is this?\r\n\r\n", "-tls1_3", "-ign_eof")
	has(t, "no HTTP", out, "HTTP/1.1 400 Bad Request", "closed\n")
	hasNot(t, "no HTTP", out, cutOff)
}

// Who is connected when a node stops is told goodbye.
func TestTLSGoodbyeWhenTheNodeStops(t *testing.T) {
	s := newSecurePlace(t, nil)
	stdin, typed := io.Pipe()
	t.Cleanup(func() { _ = typed.Close() })
	cmd := exec.Command(need(t, "openssl"), "s_client", "-connect", s.apiAt().String(), "-CAfile", s.rootFile(t), "-ign_eof")
	cmd.Stdin = stdin
	client, err := s.client.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(typed, strings.Replace(lastRequest, "close", "keep-alive", 1)) }()
	eventually(t, "the client is answered", func() bool { return strings.Contains(client.Output(), "200 OK") })
	if err := s.node.Stop(); err != nil {
		t.Errorf("stop the node: got %v, want nil", err)
	}
	_ = typed.Close()
	within(t, "the client ends", client.Exited())
	has(t, "the client", client.Output(), "closed\n")
	hasNot(t, "the client", client.Output(), cutOff)
}
