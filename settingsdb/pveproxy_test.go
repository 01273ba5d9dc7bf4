package settingsdb

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vdi-gateway/settingsdb/pveproxy"
)

// revised is a fresh document with other values.
func revised(t testing.TB, text string) Settings {
	t.Helper()
	s, problems := Revise(fresh(t), []byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return s
}

// assigned are the assignments of a pveproxy file.
func assigned(t testing.TB, text string) []pveproxy.Assignment {
	t.Helper()
	all, err := pveproxy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const wholePveproxy = `
# /etc/default/pveproxy
ALLOW_FROM="10.0.0.1-10.0.0.5,192.168.0.0/22"
DENY_FROM="all"
POLICY="allow"
LISTEN_IP="192.0.2.1"
CIPHERS="ECDHE-ECDSA-AES256-GCM-SHA384:DHE-RSA-AES128-SHA"
CIPHERSUITES="TLS_AES_256_GCM_SHA384"
HONOR_CIPHER_ORDER=0
DISABLE_TLS_1_2=0
DISABLE_TLS_1_3=1
DHPARAMS="/etc/ssl/dh.pem"
TLS_KEY_FILE="/secrets/pveproxy.key"
COMPRESSION="0"
MAX_WORKERS=5
PROXY_REAL_IP_HEADER="X-Real-IP"
COLOUR=red
`

func TestEveryKeyOfAFile(t *testing.T) {
	base := revised(t, `{"ssl":true,"disp_port":4242}`)
	next, lines, err := base.Pveproxy(assigned(t, wholePveproxy), "")
	if err != nil {
		t.Fatal(err)
	}
	want := base
	want.Access = Access{AllowFrom: "10.0.0.1-10.0.0.5,192.168.0.0/22", DenyFrom: "all", Policy: "allow"}
	want.ListenIP, want.Compression = "192.0.2.1", false
	want.TLS = TLS{
		Ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384:DHE-RSA-AES128-SHA", CipherSuites: "TLS_AES_256_GCM_SHA384",
		DisableTLS13: true, DHParams: "/etc/ssl/dh.pem",
	}
	if diff := cmp.Diff(string(want.JSON()), string(next.JSON())); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
	checkLines(t, lines, []string{
		`ALLOW_FROM: taken as access.allow_from = "10.0.0.1-10.0.0.5,192.168.0.0/22"`,
		`DENY_FROM: taken as access.deny_from = "all"`,
		`POLICY: already so`,
		`LISTEN_IP: taken as listen_ip = "192.0.2.1"`,
		`CIPHERS: taken as tls.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384:DHE-RSA-AES128-SHA"; in part: Go has not DHE-RSA-AES128-SHA`,
		`CIPHERSUITES: taken as tls.ciphersuites = "TLS_AES_256_GCM_SHA384"; not honoured: Go lets nobody choose suites of TLS 1.3: TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384 and TLS_CHACHA20_POLY1305_SHA256 are always on`,
		`HONOR_CIPHER_ORDER: taken as tls.honor_cipher_order = false; not honoured: Go chooses the order of suites: forward secrecy and AEAD first, AES or ChaCha20 by the hardware of both sides`,
		`DISABLE_TLS_1_2: already so`,
		`DISABLE_TLS_1_3: taken as tls.disable_tls_1_3 = true`,
		`DHPARAMS: taken as tls.dhparams = "/etc/ssl/dh.pem"; not honoured: Go has no finite-field Diffie-Hellman, and so no DHE suites`,
		`TLS_KEY_FILE: not taken: it needs tls.cert_file beside it (pveproxy's is /etc/pve/local/pveproxy-ssl.pem): set tls.cert_file and tls.key_file together`,
		`COMPRESSION: taken as compression = false`,
		`MAX_WORKERS: not taken: one process serves everybody here`,
		`PROXY_REAL_IP_HEADER: not taken: the address of a client comes by PROXY protocol here, from the proxies in trusted_proxies`,
		`COLOUR: not taken: this gateway has no such setting`,
	})
}

func checkLines(t *testing.T, lines []pveproxy.Line, want []string) {
	t.Helper()
	var got []string
	for _, line := range lines {
		got = append(got, line.Key+": "+line.Result)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestASecondTimeChangesNothing(t *testing.T) {
	file := assigned(t, wholePveproxy)
	first, _, err := fresh(t).Pveproxy(file, "")
	if err != nil {
		t.Fatal(err)
	}
	second, lines, err := first.Pveproxy(file, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := Changed(first, second); len(got) > 0 {
		t.Errorf("got changes of %q, want none", got)
	}
	for _, line := range lines {
		if strings.HasPrefix(line.Result, "taken") {
			t.Errorf("%s: got %q, want already so or not taken", line.Key, line.Result)
		}
	}
}

func TestWhatBecomesOfKeys(t *testing.T) {
	const good = "ECDHE-RSA-AES128-GCM-SHA256"
	for name, tt := range map[string]struct {
		base, file string
		want       []string
	}{
		"nothing": {`{}`, "# nothing", nil},
		"operators stay behind, the rest comes": {`{"ssl":true}`, "CIPHERS=" + good + ":!aNULL\nCOMPRESSION=0", []string{
			`CIPHERS: not taken: entry "!aNULL" at position 29: is an operator of OpenSSL's language: list the suites one by one, such as ` + good,
			`COMPRESSION: taken as compression = false`,
		}},
		"suites Go has not, and no other": {`{}`, "CIPHERS=DHE-RSA-AES128-SHA", []string{
			"CIPHERS: not taken: the gateway's TLS (Go's) has none of these suites: DHE-RSA-AES128-SHA: name one that it has, such as " + good,
		}},
		"the same without TLS 1.2": {`{"ssl":true}`, "CIPHERS=DHE-RSA-AES128-SHA\nDISABLE_TLS_1_2=1", []string{
			`CIPHERS: taken as tls.ciphers = "DHE-RSA-AES128-SHA"; not honoured: Go has not DHE-RSA-AES128-SHA; counts with TLS 1.2 only, which is disabled`,
			"DISABLE_TLS_1_2: taken as tls.disable_tls_1_2 = true",
		}},
		"TLS is off": {`{}`, "DISABLE_TLS_1_2=1\nCIPHERS=RC4-SHA", []string{
			"DISABLE_TLS_1_2: taken as tls.disable_tls_1_2 = true; tls counts once ssl is true",
			`CIPHERS: taken as tls.ciphers = "RC4-SHA"; weak: RC4-SHA; counts with TLS 1.2 only, which is disabled; tls counts once ssl is true`,
		}},
		"one version of TLS stays": {`{"ssl":true}`, "DISABLE_TLS_1_3=1\nDISABLE_TLS_1_2=1", []string{
			"DISABLE_TLS_1_3: not taken: must be false when disable_tls_1_2 is true: one version has to stay",
			"DISABLE_TLS_1_2: taken as tls.disable_tls_1_2 = true",
		}},
		"one version stays, the other is off already": {`{"tls":{"disable_tls_1_3":true}}`, "DISABLE_TLS_1_2=1\nCOMPRESSION=0", []string{
			"DISABLE_TLS_1_2: not taken: tls.disable_tls_1_3: must be false when disable_tls_1_2 is true: one version has to stay",
			"COMPRESSION: taken as compression = false",
		}},
		"neither 0 nor 1": {`{}`, "COMPRESSION=yes\nHONOR_CIPHER_ORDER=2", []string{
			`COMPRESSION: not taken: must be 0 or 1, is "yes"`,
			`HONOR_CIPHER_ORDER: not taken: must be 0 or 1, is "2"`,
		}},
		"a host name to listen on": {`{}`, "LISTEN_IP=gate.example.org", []string{
			`LISTEN_IP: not taken: must be an IP address or empty, is "gate.example.org"`,
		}},
		"a link-local address": {`{}`, "LISTEN_IP=fe80::c463:8cff:feb9:6a4e%vmbr0", []string{
			`LISTEN_IP: taken as listen_ip = "fe80::c463:8cff:feb9:6a4e%vmbr0"`,
		}},
		"empty means the default": {`{"listen_ip":"10.0.0.1","compression":false}`, "LISTEN_IP=\nCOMPRESSION=''", []string{
			`LISTEN_IP: taken as listen_ip = ""`,
			"COMPRESSION: taken as compression = true",
		}},
		"the last one counts": {`{}`, "COMPRESSION=0\nLISTEN_IP=host\nLISTEN_IP=10.0.0.1\nX=1\nCOMPRESSION=1\nX=2", []string{
			"COMPRESSION: already so; line 5 overrides line 1",
			`LISTEN_IP: taken as listen_ip = "10.0.0.1"; line 3 overrides line 2`,
			"X: not taken: this gateway has no such setting; line 6 overrides line 4",
		}},
		"the key there is": {`{"ssl":true,"tls":{"cert_file":"/c.pem","key_file":"/k.pem"}}`, "TLS_KEY_FILE=/k.pem", []string{
			"TLS_KEY_FILE: already so",
		}},
		"another key than the one there is": {`{"tls":{"cert_file":"/c.pem","key_file":"/k.pem"}}`, "TLS_KEY_FILE=/other.pem", []string{
			"TLS_KEY_FILE: not taken: there is another certificate with its key already: set tls.cert_file and tls.key_file together",
		}},
		"no key": {`{"tls":{"cert_file":"/c.pem","key_file":"/k.pem"}}`, "TLS_KEY_FILE=", []string{
			"TLS_KEY_FILE: not taken: it is empty",
		}},
	} {
		base := revised(t, tt.base)
		before := string(base.JSON())
		next, lines, err := base.Pveproxy(assigned(t, tt.file), "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkLines(t, lines, tt.want)
		if problems := next.Validate(); len(problems) > 0 {
			t.Errorf("%s: got %v, want a valid document", name, problems)
		}
		if string(base.JSON()) != before {
			t.Errorf("%s: the document that was given has changed", name)
		}
	}
}

func TestTheKeyFileBesideAKnownCertificate(t *testing.T) {
	next, lines, err := revised(t, `{"ssl":true}`).Pveproxy(assigned(t, "TLS_KEY_FILE=/secrets/p.key"), pveproxy.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	checkLines(t, lines, []string{`TLS_KEY_FILE: taken as tls.key_file = "/secrets/p.key", with tls.cert_file = "/etc/pve/local/pveproxy-ssl.pem"`})
	if got := next.TLS; got.CertFile != pveproxy.Certificate || got.KeyFile != "/secrets/p.key" {
		t.Errorf("got %q and %q, want both files", got.CertFile, got.KeyFile)
	}
	next, lines, err = fresh(t).Pveproxy(assigned(t, "TLS_KEY_FILE=p.key"), pveproxy.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	checkLines(t, lines, []string{`TLS_KEY_FILE: not taken: must be an absolute path or empty, is "p.key"`})
	if got := next.TLS.CertFile; got != "" {
		t.Errorf("got certificate %q without its key, want none", got)
	}
}

// Who may come in is what the file says, or nothing is imported.
func TestAnAccessListIsTakenAsAWhole(t *testing.T) {
	closed := `{"access":{"deny_from":"all","policy":"deny"}}`
	for name, tt := range map[string]struct {
		base, file string
		says       []string
	}{
		"a host name":        {`{}`, "ALLOW_FROM=desk.example.org\nCOMPRESSION=0", []string{"nothing is imported", "line 1: ALLOW_FROM: entry \"desk.example.org\" at position 1: must be an IP address"}},
		"host bits":          {`{}`, "ALLOW_FROM=10.0.0.1\n\nDENY_FROM=10.0.0.1/8", []string{"line 3: DENY_FROM", "write 10.0.0.0/8"}},
		"both lists":         {`{}`, "ALLOW_FROM=x\nDENY_FROM=y", []string{"line 1: ALLOW_FROM", "line 2: DENY_FROM"}},
		"an unknown policy":  {`{}`, "ALLOW_FROM=10.0.0.1\nPOLICY=Deny", []string{"line 2: POLICY: must be allow or deny, is \"Deny\""}},
		"a denial left here": {closed, "ALLOW_FROM=10.0.0.1\nPOLICY=deny", []string{"access.deny_from is \"all\" and DENY_FROM is not in the file: write there what it shall be, or DENY_FROM=\"\" for pveproxy's default"}},
		"both left here":     {closed, "ALLOW_FROM=10.0.0.1", []string{"access.deny_from is \"all\"", "access.policy is \"deny\" and POLICY is not in the file"}},
	} {
		_, lines, err := revised(t, tt.base).Pveproxy(assigned(t, tt.file), "")
		if err == nil || len(lines) > 0 {
			t.Errorf("%s: got %v and error %v, want an error alone", name, lines, err)
			continue
		}
		for _, want := range tt.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want it to say %q", name, err, want)
			}
		}
	}
}

func TestAnAccessListThatIsNotInTheFileStays(t *testing.T) {
	base := revised(t, `{"access":{"allow_from":"10.0.0.9","deny_from":"all","policy":"deny"}}`)
	next, _, err := base.Pveproxy(assigned(t, "COMPRESSION=0"), "")
	if err != nil || next.Access != base.Access {
		t.Errorf("got %v and error %v, want %v", next.Access, err, base.Access)
	}
	next, _, err = base.Pveproxy(assigned(t, "ALLOW_FROM=10.0.0.8\nDENY_FROM=\nPOLICY="), "")
	if want := (Access{AllowFrom: "10.0.0.8", Policy: "allow"}); err != nil || next.Access != want {
		t.Errorf("got %v and error %v, want %v", next.Access, err, want)
	}
}

func TestAnInvalidDocumentIsTold(t *testing.T) {
	base := fresh(t)
	base.DispPort = 0
	if _, _, err := base.Pveproxy(assigned(t, "COMPRESSION=0"), ""); err == nil || !strings.Contains(err.Error(), "disp_port") {
		t.Errorf("got %v, want the problem of disp_port", err)
	}
}

// FuzzPveproxy: nothing panics, the document stays valid, and a file's access list is in it
// as it is or not at all.
func FuzzPveproxy(f *testing.F) {
	for _, seed := range []string{wholePveproxy, "ALLOW_FROM=10.0.0.1", "DISABLE_TLS_1_2=1\nDISABLE_TLS_1_3=1", "TLS_KEY_FILE=/x\nCIPHERS=HIGH"} {
		f.Add([]byte(seed))
	}
	base := fresh(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		all, err := pveproxy.Parse(file)
		if err != nil {
			return
		}
		next, lines, err := base.Pveproxy(all, pveproxy.Certificate)
		if err != nil {
			return
		}
		if problems := next.Validate(); len(problems) > 0 {
			t.Errorf("%q: got %v, want a valid document", file, problems)
		}
		last := map[string]string{}
		for _, a := range all {
			last[a.Key] = a.Value
		}
		want := Access{AllowFrom: last["ALLOW_FROM"], DenyFrom: last["DENY_FROM"], Policy: last["POLICY"]}
		if want.Policy == "" {
			want.Policy = "allow"
		}
		if next.Access != want || len(lines) != len(last) {
			t.Errorf("%q: got %v and %d lines, want %v and %d", file, next.Access, len(lines), want, len(last))
		}
	})
}
