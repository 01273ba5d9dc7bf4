package rfb

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
)

// What VMs and viewers say.
const (
	v33, v37, v38 = "RFB 003.003\n", "RFB 003.007\n", "RFB 003.008\n"

	challengeText = "0123456789abcdef"
	// What OpenSSL's DES makes of it with the password, the bits of its bytes turned.
	responseOfSecret12 = "\x5f\x15\xf4\xf0\xe1\x68\x4c\xdc\x26\x0e\xa9\x62\xab\x82\xfa\x3b"
	responseOfA        = "\x03\x33\xfd\xab\x7b\xb2\xd4\xab\xd9\x27\xdf\x12\x6a\x73\x77\x1a"

	ok       = "\x00\x00\x00\x00"
	failed   = "\x00\x00\x00\x01"
	tooMany  = "\x00\x00\x00\x02"
	told1    = "\x00\x00\x00\x01" // None, as 3.3 tells it
	told2    = "\x00\x00\x00\x02" // VncAuth
	no       = "\x00\x00\x00\x02no"
	initText = "ServerInit and more"
)

func TestResponse(t *testing.T) {
	for password, want := range map[Secret]string{
		"secret12": responseOfSecret12, "secret12345": responseOfSecret12, "a": responseOfA,
	} {
		if got := vncResponse(password, [16]byte([]byte(challengeText))); string(got[:]) != want {
			t.Errorf("of a password of %d bytes: got %x, want %x", len(password), got, want)
		}
	}
}

// vmScripts are VMs that let us in with the password "secret12", and how.
var vmScripts = []struct {
	name    string
	version Version
	typ     Type
	say     script
}{
	{"3.3 None", V33, None, script{">" + v33, "<" + v33, ">" + told1 + initText}},
	{"3.3 VncAuth", V33, VncAuth, script{">" + v33, "<" + v33, ">" + told2 + challengeText, "<" + responseOfSecret12, ">" + ok + initText}},
	{"3.5 counts as 3.3", V33, None, script{">RFB 003.005\n", "<" + v33, ">" + told1 + initText}},
	{"3.7 None", V37, None, script{">" + v37, "<" + v37, ">\x01\x01", "<\x01", ">" + initText}},
	{"3.7 VncAuth", V37, VncAuth, script{">" + v37, "<" + v37, ">\x02\x01\x02", "<\x02", ">" + challengeText, "<" + responseOfSecret12, ">" + ok + initText}},
	{"3.8 None", V38, None, script{">" + v38, "<" + v38, ">\x01\x01", "<\x01", ">" + ok + initText}},
	{"3.8 VncAuth", V38, VncAuth, script{">" + v38, "<" + v38, ">\x02\x10\x02", "<\x02", ">" + challengeText, "<" + responseOfSecret12, ">" + ok + initText}},
	{"Apple's 3.889", V38, VncAuth, script{">RFB 003.889\n", "<" + v38, ">\x04\x1e\x21\x24\x02", "<\x02", ">" + challengeText, "<" + responseOfSecret12, ">" + ok + initText}},
	{"4.0", V38, None, script{">RFB 004.000\n", "<" + v38, ">\x01\x01", "<\x01", ">" + ok + initText}},
	{"5.0", V38, None, script{">RFB 005.000\n", "<" + v38, ">\x01\x01", "<\x01", ">" + ok + initText}},
	{"255 types", V38, None, script{">" + v38, "<" + v38, ">\xff" + strings.Repeat("\x10", 254) + "\x01", "<\x01", ">" + ok + initText}},
}

func TestConnect(t *testing.T) {
	for _, tc := range vmScripts {
		for _, step := range []int{1, 1000} {
			t.Run(fmt.Sprintf("%s, by %d", tc.name, step), func(t *testing.T) {
				conn := act(t, stage{step: step}, tc.say)
				stream, report, err := Connect(context.Background(), conn, Config{Password: "secret12"})
				if err != nil {
					t.Fatal(err)
				}
				if stream != conn {
					t.Errorf("got another connection, want the one that was given")
				}
				if want := (Report{Version: tc.version, Type: tc.typ}); report != want {
					t.Errorf("got %+v, want %+v", report, want)
				}
				if err := expect(stream, initText); err != nil {
					t.Errorf("after the handshake: %v", err)
				}
			})
		}
	}
}

func TestConnectFails(t *testing.T) {
	begin := func(lines ...string) script { return append(script{">" + v38, "<" + v38}, lines...) }
	wrong := func(lines ...string) script {
		return append(begin(">\x01\x02", "<\x02", ">"+challengeText, "<"+responseOfSecret12), lines...)
	}
	veNCryptOf := func(lines ...string) script {
		return append(begin(">\x02\x13\x02", "<\x13", ">\x00\x02", "<\x00\x02", ">\x00"), lines...)
	}
	for _, tc := range []struct {
		name string
		say  script
		kind Kind
		text string
	}{
		{"SSH", script{">SSH-2.0-Open"}, NotRFB, `this is not a VNC server: it says "SSH-", which looks like SSH`},
		{"HTTP", script{">HTTP/1.1 400"}, NotRFB, "looks like HTTP"},
		{"something short", script{">hi"}, NotRFB, `it says "hi"`},
		{"nearly", script{">RFB 003.008 "}, NotRFB, `it says "RFB 003.008 "`},
		{"letters for digits", script{">RFB 0x3.008\n"}, NotRFB, `"RFB 0x3.008\n"`},
		{"2.0", script{">RFB 002.000\n"}, Protocol, "speaks RFB 2.0"},
		{"a repeater", script{">RFB 000.000\n"}, Protocol, "speaks RFB 0.0"},
		{"nothing", script{}, Closed, "during the version"},
		{"half a version", script{">RFB 0"}, Closed, "during the version"},
		{"half a list", begin(">\x05\x01"), Closed, "during the security types"},
		{"no types", begin(">\x00\x00\x00\x00\x0dtoo many here"), Refused, `it refuses: "too many here"`},
		{"no types, 3.7", script{">" + v37, "<" + v37, ">\x00" + no}, Refused, `it refuses: "no"`},
		{"no types, 3.3", script{">" + v33, "<" + v33, ">" + ok + no}, Refused, `it refuses: "no"`},
		{"no types and no reason", begin(">\x00"), Refused, "no reason given"},
		{"no types and an empty reason", begin(">\x00\x00\x00\x00\x00"), Refused, "no reason given"},
		{"no types and half a reason", begin(">\x00\x00\x00\x00\x05no"), Refused, "no reason given"},
		{"a reason of 256 bytes", begin(">\x00\x00\x00\x01\x00" + strings.Repeat("x", 256)), Refused, strings.Repeat("x", 256)},
		{"a reason of 257 bytes", begin(">\x00\x00\x00\x01\x01"), Refused, "a reason of 257 bytes, not read"},
		{"a reason of 4 GB", begin(">\x00\xff\xff\xff\xff"), Refused, "a reason of 4294967295 bytes, not read"},
		{"a reason that would scramble a terminal", begin(">\x00\x00\x00\x00\x04\x1b[2J"), Refused, `"\x1b[2J"`},
		{"types of others", begin(">\x03\x05\x10\x63"), NoCommonType, "it offers RA2, Tight, type 99: spoken here are"},
		{"a type of others, 3.3", script{">" + v33, "<" + v33, ">\x01\x02\x03\x04"}, NoCommonType, "type 16909060"},
		{"anonymous TLS", veNCryptOf(">\x03\x00\x00\x01\x01\x00\x00\x01\x02\x00\x00\x01\x03", "."), NoCommonType, "VeNCrypt with TLSNone, TLSVnc, TLSPlain: TLS without a certificate needs anonymous Diffie-Hellman"},
		{"Vino's TLS", begin(">\x01\x12", "."), NoCommonType, "anonymous"},
		{"Plain without TLS", veNCryptOf(">\x01\x00\x00\x01\x00", "."), NoCommonType, "unprotected"},
		{"VeNCrypt with nothing", veNCryptOf(">\x00", "."), NoCommonType, "VeNCrypt with nothing"},
		{"VeNCrypt with 255 others", veNCryptOf(">\xff"+strings.Repeat("\x00\x00\x02\x00", 255), "."), NoCommonType, ", 243 more: "},
		{"VeNCrypt 0.1", begin(">\x01\x13", "<\x13", ">\x00\x01", "."), NoCommonType, "VeNCrypt 0.1"},
		{"VeNCrypt 0.2 taken back", begin(">\x01\x13", "<\x13", ">\x00\x02", "<\x00\x02", ">\xff", "."), Protocol, "then refuses 0.2"},
		{"X509None taken back", veNCryptOf(">\x01\x00\x00\x01\x04", "<\x00\x00\x01\x04", ">\x00", "."), Refused, "look at its certificate and key"},
		{"no TLS where it should begin", veNCryptOf(">\x01\x00\x00\x01\x04", "<\x00\x00\x01\x04", "*", ">\x01HTTP/1.1 400 Bad Request"), Protocol, "the TLS handshake failed"},
		{"the end where TLS should begin", veNCryptOf(">\x01\x00\x00\x01\x04", "<\x00\x00\x01\x04", ">\x01"), Closed, "TLS handshake"},
		{"wrong", wrong(">"+failed+no, "."), AuthFailed, `it rejects VncAuth: "no"`},
		{"wrong, without a reason", wrong(">" + failed), AuthFailed, "no reason given"},
		{"wrong, 3.7", script{">" + v37, "<" + v37, ">\x01\x02", "<\x02", ">" + challengeText, "<" + responseOfSecret12, ">" + failed, "."}, AuthFailed, "no reason given"},
		{"wrong, 3.3", script{">" + v33, "<" + v33, ">" + told2 + challengeText, "<" + responseOfSecret12, ">" + failed, "."}, AuthFailed, "no reason given"},
		{"too many attempts", wrong(">"+tooMany+no, "."), AuthFailed, `after too many attempts: "no"`},
		{"too many attempts, 3.7", script{">" + v37, "<" + v37, ">\x01\x02", "<\x02", ">" + challengeText, "<" + responseOfSecret12, ">" + tooMany, "."}, AuthFailed, "too many attempts"},
		{"another result", wrong(">\x00\x00\x00\x07", "."), Protocol, "a security result of 7"},
		{"None fails, 3.8", begin(">\x01\x01", "<\x01", ">"+failed+no, "."), AuthFailed, "it rejects None"},
	} {
		for _, step := range []int{1, 1000} {
			t.Run(fmt.Sprintf("%s, by %d", tc.name, step), func(t *testing.T) {
				stream, _, err := Connect(context.Background(), briefly(t, step, tc.say), Config{Password: "secret12"})
				wantError(t, err, VM, tc.kind, tc.text)
				if stream != nil {
					t.Errorf("got a connection with an error, want none")
				}
				if strings.Contains(err.Error(), "secret12") {
					t.Errorf("the error has the password in it: %v", err)
				}
			})
		}
	}
}

// briefly plays a script and closes the connection. Nobody need listen to the end.
func briefly(t *testing.T, step int, lines script) net.Conn {
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := (stage{step: step}).perform(far, lines); err != nil && !strings.Contains(err.Error(), "closed pipe") {
			t.Errorf("the other side: %v", err)
		}
		_ = far.Close()
	}()
	t.Cleanup(func() { _ = near.Close(); <-done })
	return near
}

func TestConfigIsChecked(t *testing.T) {
	long := strings.Repeat("x", 1025)
	for _, tc := range []struct {
		name string
		cfg  Config
		text string
	}{
		{"a long user", Config{User: long}, "may have 1024 bytes"},
		{"a long password", Config{Password: Secret(long)}, "may have 1024 bytes"},
		{"TLS and no TLS", Config{Trust: &Trust{}, Unencrypted: true}, "vm_tls"},
		{"a short sha256", Config{Trust: &Trust{SHA256: "abcd"}}, `sha256 of the certificate: got "abcd", want 64 hexadecimal digits`},
		{"no PEM", Config{Trust: &Trust{CA: "certificate"}}, "ca_pem: certificate 1 is no certificate in PEM"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			near, far := net.Pipe()
			defer func() { _ = far.Close() }()
			_, _, err := Connect(context.Background(), near, tc.cfg)
			wantError(t, err, Gateway, Misconfigured, tc.text)
		})
	}
}
