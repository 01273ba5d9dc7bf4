package rfb

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/xvnc"
)

// replay is a connection whose other side says what there is to read, listens to nothing
// and leaves.
type replay struct {
	io.Reader
}

func (replay) Write(p []byte) (int, error)      { return len(p), nil }
func (replay) Close() error                     { return nil }
func (replay) SetDeadline(time.Time) error      { return nil }
func (replay) SetReadDeadline(time.Time) error  { return nil }
func (replay) SetWriteDeadline(time.Time) error { return nil }
func (replay) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (replay) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// allocated is how many bytes the program has ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// wantOutcome checks that a handshake ended in one of two ways, and how much it took.
func wantOutcome(t *testing.T, before uint64, stream net.Conn, err error) {
	t.Helper()
	var e *Error
	if (err == nil) == (stream == nil) || err != nil && (!errors.As(err, &e) || e.Text == "") {
		t.Errorf("got %v and error %v, want one of them, of this package", stream, err)
	}
	if err != nil && len(err.Error()) > 8192 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
	// A TLS handshake takes some ten kB, whatever comes; a reason, a list or a user do not.
	if got := allocated() - before; got > 1<<18 {
		t.Errorf("allocated %d bytes, want at most 256 kB", got)
	}
}

func FuzzConnect(f *testing.F) {
	for _, vm := range vmScripts {
		var says strings.Builder
		for _, line := range vm.say {
			if line[0] == '>' {
				says.WriteString(line[1:])
			}
		}
		f.Add(says.String(), true, false)
	}
	f.Add(v38+"\x00\x00\x00\x00\x02no", false, false)
	f.Add(v38+"\x01\x13\x00\x02\x00\x03\x00\x00\x01\x04\x00\x00\x01\x05\x00\x00\x01\x06\x01\x16\x03\x03\x00\x05\x02\x00\x00\x01\x00", true, true)
	f.Fuzz(func(t *testing.T, says string, password, must bool) {
		cfg := Config{}
		if password {
			cfg.User, cfg.Password = "alice", "secret12"
		}
		if must {
			cfg.Trust = &Trust{}
		}
		before := allocated()
		r := strings.NewReader(says)
		stream, report, err := Connect(context.Background(), replay{r}, cfg)
		wantOutcome(t, before, stream, err)
		if err != nil && strings.Contains(err.Error(), "secret12") && !strings.Contains(says, "secret12") {
			t.Errorf("the error has the password in it: %v", err)
		}
		if must && err == nil {
			t.Errorf("let in by %s without a certificate", report.Type)
		}
	})
}

func FuzzAccept(f *testing.F) {
	for _, viewer := range viewerScripts {
		f.Add(strings.TrimPrefix(viewer.say[1], ">")+"\x01\x02 sixteen bytes..", uint8(viewer.typ))
	}
	f.Add(v38+"\x13\x00\x02\x00\x00\x01\x06\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", uint8(4))
	ca := xvnc.NewAuthority(f, "ours")
	cert := serverOf(ca.Valid(f, "gateway.example"))
	kinds := []Type{None, VncAuth, X509None, X509Vnc, X509Plain}
	f.Fuzz(func(t *testing.T, says string, kind uint8) {
		terms := Terms{Type: kinds[int(kind)%len(kinds)], Password: "secret12", Check: checkLogin, Certificate: cert}
		before := allocated()
		stream, report, err := Accept(context.Background(), replay{strings.NewReader(says)}, terms)
		wantOutcome(t, before, stream, err)
		if err == nil && terms.Type != None {
			t.Errorf("let in as %+v", report)
		}
	})
}

// FuzzPlain goes on where FuzzAccept cannot get, behind TLS.
func FuzzPlain(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x05\x00\x00\x00\x0falicea long password"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("\x80\x00\x00\x00\x80\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, says []byte) {
		p := peer{conn: replay{bytes.NewReader(says)}, side: Client}
		before := allocated()
		user, password, err := p.readPlain()
		if got := allocated() - before; got > 1<<16 {
			t.Errorf("allocated %d bytes, want at most 64 kB", got)
		}
		if err == nil && string(says[8:8+len(user)+len(password)]) != user+password.Reveal() {
			t.Errorf("got %q and %q of %q", user, password.Reveal(), says)
		}
	})
}

func FuzzVersion(f *testing.F) {
	f.Add([]byte(v38))
	f.Add([]byte("RFB 999.999\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != versionLength {
			return
		}
		major, minor, ok := parseVersion([versionLength]byte(b))
		if ok && string(b) != string(binaryVersion(major, minor)) {
			t.Errorf("read %q as %d.%d", b, major, minor)
		}
		if v, spoken := clientVersion(major, minor); ok && spoken && v != V33 && v != V37 && v != V38 {
			t.Errorf("speaks %s for %d.%d", v, major, minor)
		}
	})
}

func binaryVersion(major, minor int) []byte {
	digits := func(n int) []byte { return []byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)} }
	return slices.Concat([]byte("RFB "), digits(major), []byte("."), digits(minor), []byte("\n"))
}

func FuzzTrust(f *testing.F) {
	ca := xvnc.NewAuthority(f, "ours")
	f.Add(ca.PEM, "abcd", "vm17.example")
	leaf := ca.Valid(f, "vm17.example")
	f.Fuzz(func(t *testing.T, pem, sha256, name string) {
		v, err := (&Trust{CA: pem, SHA256: sha256, ServerName: name}).parse("")
		if err != nil {
			return
		}
		if err := v.check(parsed(t, leaf), time.Now()); err == nil && pem != ca.PEM && sha256 != xvnc.SHA256(leaf) {
			t.Errorf("trusts the certificate by %q, %q, %q", pem, sha256, name)
		}
	})
}
