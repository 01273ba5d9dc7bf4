package rfb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
)

const initFlag = "\x01" // ClientInit

// viewerScripts are viewers that are let in with VncAuth and "secret12", or with None.
var viewerScripts = []struct {
	name    string
	version Version
	typ     Type
	say     script
}{
	{"3.3 None", V33, None, script{"<" + v38, ">" + v33, "<" + told1}},
	{"3.3 VncAuth", V33, VncAuth, script{"<" + v38, ">" + v33, "<" + told2, "?secret12", "<" + ok}},
	{"3.5 counts as 3.3", V33, None, script{"<" + v38, ">RFB 003.005\n", "<" + told1}},
	{"3.7 None", V37, None, script{"<" + v38, ">" + v37, "<\x01\x01", ">\x01"}},
	{"3.7 VncAuth", V37, VncAuth, script{"<" + v38, ">" + v37, "<\x01\x02", ">\x02", "?secret12", "<" + ok}},
	{"3.8 None", V38, None, script{"<" + v38, ">" + v38, "<\x01\x01", ">\x01", "<" + ok}},
	{"3.8 VncAuth", V38, VncAuth, script{"<" + v38, ">" + v38, "<\x01\x02", ">\x02", "?secret12", "<" + ok}},
	{"Apple's 3.889", V38, VncAuth, script{"<" + v38, ">RFB 003.889\n", "<\x01\x02", ">\x02", "?secret12", "<" + ok}},
}

func TestAccept(t *testing.T) {
	for _, tc := range viewerScripts {
		for _, step := range []int{1, 1000} {
			t.Run(fmt.Sprintf("%s, by %d", tc.name, step), func(t *testing.T) {
				conn := act(t, stage{step: step}, slices.Concat(tc.say, script{">" + initFlag}))
				stream, report, err := Accept(context.Background(), conn, Terms{Type: tc.typ, Password: "secret12"})
				if err != nil {
					t.Fatal(err)
				}
				if stream != conn {
					t.Errorf("got another connection, want the one that was given")
				}
				if want := (Report{Version: tc.version, Type: tc.typ}); report != want {
					t.Errorf("got %+v, want %+v", report, want)
				}
				if err := expect(stream, initFlag); err != nil {
					t.Errorf("after the handshake: %v", err)
				}
			})
		}
	}
}

// TestAcceptKeepsWhatComesEarly: viewers may say all of it before they are asked.
func TestAcceptKeepsWhatComesEarly(t *testing.T) {
	for name, say := range map[string]script{
		"3.3": {">" + v33 + initFlag + "more", "<" + v38 + told1},
		"3.7": {">" + v37 + "\x01" + initFlag + "more", "<" + v38 + "\x01\x01"},
		"3.8": {">" + v38 + "\x01" + initFlag + "more", "<" + v38 + "\x01\x01" + ok},
	} {
		t.Run(name, func(t *testing.T) {
			conn := act(t, stage{step: 1000, socket: true}, say)
			stream, _, err := Accept(context.Background(), conn, Terms{Type: None})
			if err != nil {
				t.Fatal(err)
			}
			if err := expect(stream, initFlag+"more"); err != nil {
				t.Errorf("after the handshake: %v", err)
			}
		})
	}
}

// checkLogin is a user database of one.
func checkLogin(_ context.Context, user string, password Secret) error {
	if user != "alice" || password != "a long password" {
		return errors.New("not alice")
	}
	return nil
}

func TestAcceptFails(t *testing.T) {
	begin := func(lines ...string) script { return append(script{"<" + v38, ">" + v38}, lines...) }
	wrong38 := "<" + failed + "\x00\x00\x00\x15Authentication failed"
	none, vnc := Terms{Type: None}, Terms{Type: VncAuth, Password: "secret12"}
	x509vnc := Terms{Type: X509Vnc, Password: "secret12", Certificate: func() *tls.Config { return nil }}
	x509plain := Terms{Type: X509Plain, Check: checkLogin, Certificate: x509vnc.Certificate}
	for _, tc := range []struct {
		name  string
		terms Terms
		say   script
		kind  Kind
		text  string
	}{
		{"HTTP", none, script{"<" + v38, ">GET ", "."}, NotRFB, `this is not a VNC client: it says "GET ", which looks like HTTP`},
		{"TLS", none, script{"<" + v38, ">\x16\x03\x01\x02", "."}, NotRFB, "looks like TLS"},
		{"2.0", none, script{"<" + v38, ">RFB 002.000\n", "."}, Protocol, "answers RFB 3.8 with RFB 2.0"},
		{"4.1", none, script{"<" + v38, ">RFB 004.001\n", "."}, Protocol, "with RFB 4.1"},
		{"it leaves", vnc, begin("<\x01\x02"), Closed, "security types"},
		{"it leaves when asked for the password", vnc, begin("<\x01\x02", ">\x02"), Closed, "password challenge"},

		{"it chooses None", vnc, begin("<\x01\x02", ">\x01", "."), Protocol, "it chooses None, and VncAuth was offered"},
		{"it chooses None, 3.7", vnc, script{"<" + v38, ">" + v37, "<\x01\x02", ">\x01", "."}, Protocol, "it chooses None"},
		{"it chooses nothing", vnc, begin("<\x01\x02", ">\x00", "."), Protocol, "it chooses Invalid"},
		{"it chooses VncAuth where None is", none, begin("<\x01\x01", ">\x02", "."), Protocol, "it chooses VncAuth, and None was offered"},
		{"it chooses VeNCrypt", vnc, begin("<\x01\x02", ">\x13", "."), Protocol, "it chooses VeNCrypt"},
		{"it chooses None in place of VeNCrypt", x509vnc, begin("<\x01\x13", ">\x01", "."), Protocol, "it chooses None, and VeNCrypt was offered"},
		{"it chooses X509None", x509vnc, begin("<\x01\x13", ">\x13", "<\x00\x02", ">\x00\x02", "<\x00", "<\x01\x00\x00\x01\x05", ">\x00\x00\x01\x04", "."), Protocol, "it chooses X509None, and X509Vnc was offered"},
		{"it chooses Plain", x509plain, begin("<\x01\x13", ">\x13", "<\x00\x02", ">\x00\x02", "<\x00", "<\x01\x00\x00\x01\x06", ">\x00\x00\x01\x00", "."), Protocol, "it chooses Plain, and X509Plain was offered"},
		{"VeNCrypt 0.1", x509vnc, begin("<\x01\x13", ">\x13", "<\x00\x02", ">\x00\x01", "<\xff", "."), NoCommonType, "VeNCrypt 0.1"},
		{"3.3 has no VeNCrypt", x509vnc, script{"<" + v38, ">" + v33, "<" + ok + "\x00\x00\x00\x31This viewer is too old to connect with encryption", "."}, NoCommonType, "RFB 3.3 only, which has no X509Vnc"},

		{"wrong", vnc, begin("<\x01\x02", ">\x02", "?secret13", wrong38, "."), AuthFailed, "wrong password"},
		{"wrong, 3.7", vnc, script{"<" + v38, ">" + v37, "<\x01\x02", ">\x02", "?secret13", "<" + failed, "."}, AuthFailed, "wrong password"},
		{"wrong, 3.3", vnc, script{"<" + v38, ">" + v33, "<" + told2, "?secret13", "<" + failed, "."}, AuthFailed, "wrong password"},
		{"empty", vnc, begin("<\x01\x02", ">\x02", "?", wrong38, "."), AuthFailed, "wrong password"},
	} {
		for _, step := range []int{1, 1000} {
			t.Run(fmt.Sprintf("%s, by %d", tc.name, step), func(t *testing.T) {
				stream, _, err := Accept(context.Background(), briefly(t, step, tc.say), tc.terms)
				wantError(t, err, Client, tc.kind, tc.text)
				if stream != nil {
					t.Errorf("got a connection with an error, want none")
				}
			})
		}
	}
}

func TestOldViewersCanBeOfferedLess(t *testing.T) {
	terms := Terms{Type: X509Vnc, Old: VncAuth, Password: "secret12", Certificate: func() *tls.Config { return nil }}
	conn := act(t, stage{step: 1000}, viewerScripts[1].say)
	_, report, err := Accept(context.Background(), conn, terms)
	if err != nil || report.Type != VncAuth {
		t.Errorf("got %s, %v, want VncAuth", report.Type, err)
	}
}

func TestTermsAreChecked(t *testing.T) {
	cert := func() *tls.Config { return nil }
	for _, tc := range []struct {
		name  string
		terms Terms
		text  string
	}{
		{"nothing", Terms{}, "cannot be offered Invalid"},
		{"Tight", Terms{Type: tight}, "cannot be offered Tight"},
		{"VeNCrypt as such", Terms{Type: veNCrypt}, "cannot be offered VeNCrypt"},
		{"anonymous TLS", Terms{Type: tlsVnc}, "cannot be offered TLSVnc"},
		{"VeNCrypt to old clients", Terms{Type: None, Old: X509None}, "3.3 cannot be offered X509None"},
		{"an empty password", Terms{Type: VncAuth}, "has 1 to 8 bytes, this one 0"},
		{"a password that would be cut", Terms{Type: VncAuth, Password: "123456789"}, "this one 9"},
		{"an empty password in TLS", Terms{Type: X509Vnc, Certificate: cert}, "this one 0"},
		{"an empty password for old clients", Terms{Type: X509None, Old: VncAuth, Certificate: cert}, "this one 0"},
		{"nobody to ask", Terms{Type: X509Plain, Certificate: cert}, "nobody checks"},
		{"no certificate", Terms{Type: X509None}, "without a certificate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			near, far := net.Pipe()
			defer func() { _ = far.Close() }()
			_, _, err := Accept(context.Background(), near, tc.terms)
			wantError(t, err, Gateway, Misconfigured, tc.text)
		})
	}
}

func TestChallengesDiffer(t *testing.T) {
	seen := map[string]bool{}
	const times = 100
	for range times {
		near, far := net.Pipe()
		go func() { _ = (&peer{conn: near, side: Client}).challenge("secret12"); _ = near.Close() }()
		var c [challengeLength]byte
		if err := (&peer{conn: far}).read(c[:]); err != nil {
			t.Fatal(err)
		}
		seen[string(c[:])] = true
		_ = far.Close()
	}
	if len(seen) != times {
		t.Errorf("got %d different challenges of %d", len(seen), times)
	}
}
