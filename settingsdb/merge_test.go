package settingsdb

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// missionDocument is the original's example with its ports and addresses.
const missionDocument = `{"is_enabled":true,"internal_addrs":["10.254.150.132"],"ssl":false,` +
	`"disp_addrs":["10.244.32.32"],"disp_port":4200,"public_addr":"10.254.150.136","virtual_addr":"10.254.150.136",` +
	`"api_port":8000,"balancer_api_port":8002,"port_range_start":5900,"port_range_stop":5999,` +
	`"api_key":"dispatcher-key","cli_key":"client-key"}`

func fresh(t testing.TB) Settings {
	t.Helper()
	s, err := Fresh(netip.MustParseAddr("10.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func merged(t *testing.T, base Settings, text string) Settings {
	t.Helper()
	next, problems := Merge(base, []byte(text))
	if len(problems) > 0 {
		t.Fatalf("merge %s: %v", text, problems)
	}
	return next
}

func TestFreshIsValidAndHasItsOwnKeys(t *testing.T) {
	s, other := fresh(t), fresh(t)
	if problems := s.Validate(); len(problems) > 0 {
		t.Errorf("a fresh document: got %v, want no problems", problems)
	}
	keys := map[Secret]bool{}
	for _, key := range []Secret{s.APIKey, s.CLIKey, s.ClusterKey, other.APIKey, other.CLIKey, other.ClusterKey} {
		keys[key] = true
		if len(key) != 43 {
			t.Errorf("length of a key: got %d, want 43", len(key))
		}
	}
	if len(keys) != 6 {
		t.Errorf("different keys in two fresh documents: got %d, want 6", len(keys))
	}
	if diff := cmp.Diff([]string{"10.0.0.1"}, s.InternalAddrs); diff != "" {
		t.Errorf("internal_addrs (-want +got):\n%s", diff)
	}
	if !s.Targets.RequireTicket {
		t.Error("targets.require_ticket: got false, want true")
	}
}

// The defaults as settings.md states them, spelled out in full.
func TestDefaultDocument(t *testing.T) {
	want := `{"is_enabled":true,"internal_addrs":[],"ssl":false,"disp_addrs":[],"disp_port":4200,"public_addr":"",` +
		`"virtual_addr":"","api_port":8000,"balancer_api_port":8002,"port_range_start":5900,"port_range_stop":5999,` +
		`"api_key":"","cli_key":"","service_port":443,"service_backend_port":4300,"stats_port":8003,"peers_port":10000,` +
		`"interface":"","virtual_prefix_len":32,"nodes":{},` +
		`"vrrp":{"version":3,"router_id":1,"advert_ms":100,"preempt":false,"preempt_delay_s":0,"mode":"multicast","checksum":"pseudo_header"},` +
		`"balance":{"algorithm":"leastconn","sticky_ttl_s":28800,"sticky_mask_v4":32,"sticky_mask_v6":64},` +
		`"limits":{"max_connections":10000,"max_per_client":0,"open_per_client_per_s":20},` +
		`"timeouts":{"grant_s":30,"dial_ms":3000,"idle_s":0,"half_close_s":30,"keepalive_s":30,"user_timeout_ms":45000,"session_max_s":0},` +
		`"targets":{"allow":[{"cidr":"10.0.0.0/8"},{"cidr":"172.16.0.0/12"},{"cidr":"192.168.0.0/16"},{"cidr":"fc00::/7"}],` +
		`"ports":["3389","5900-32767","8554","17777-17782"],"require_ticket":true},` +
		`"access":{"allow_from":"","deny_from":"","policy":"allow"},"trusted_proxies":[],"listen_ip":"",` +
		`"tls":{"cert_file":"","key_file":"","ciphers":"","ciphersuites":"","honor_cipher_order":true,"disable_tls_1_2":false,"disable_tls_1_3":false,"dhparams":""},` +
		`"compression":true,"forwarding":"proxy","inside_addr":"","cluster_key":"",` +
		`"console":{"allowed_origins":[],"ping_s":25}}`
	if diff := cmp.Diff(want, string(Default().JSON())); diff != "" {
		t.Errorf("default document (-want +got):\n%s", diff)
	}
}

func TestJSONIsOneCompleteLine(t *testing.T) {
	got := string(Settings{PublicAddr: "<&>"}.JSON())
	if strings.ContainsAny(got, "\n") || strings.Contains(got, "null") || !strings.Contains(got, `"<&>"`) {
		t.Errorf("got %s, want one line without null and without escaped HTML", got)
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	s := Default()
	s.APIKey = "very-secret"
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(format, s); strings.Contains(got, "very-secret") || strings.Contains(got, "766572792d") {
			t.Errorf("%s of a document shows the key: %s", format, got)
		}
	}
	if got := s.APIKey.String() + s.APIKey.GoString(); got != "redactedredacted" {
		t.Errorf("String and GoString: got %q, want redacted twice", got)
	}
	if got := s.APIKey.Reveal(); got != "very-secret" {
		t.Errorf("Reveal: got %q, want the key", got)
	}
	if !strings.Contains(string(s.JSON()), `"api_key":"very-secret"`) {
		t.Error("JSON hides the key, want the real value")
	}
}

func TestMergeReplacesWholeTopLevelValues(t *testing.T) {
	base := fresh(t)
	base.DispPort, base.ListenIP = 4201, "10.0.0.9"
	base.Limits = Limits{MaxConnections: 1, MaxPerClient: 2, OpenPerClientPerS: 3}
	base.Targets.Allow = []Target{{CIDR: "10.9.0.0/16", Ports: []string{"22"}}}
	base.Targets.RequireTicket = false
	base.Nodes = map[string]NodeSettings{"10.0.0.1": {ListenIP: "10.0.0.8"}}
	for name, c := range map[string]struct {
		text string
		want func(*Settings)
	}{
		"empty document":         {`{}`, func(*Settings) {}},
		"plain key":              {`{"disp_port":4300}`, func(s *Settings) { s.DispPort = 4300 }},
		"list is replaced":       {`{"disp_addrs":["a","b"]}`, func(s *Settings) { s.DispAddrs = []string{"a", "b"} }},
		"object takes defaults":  {`{"limits":{"max_per_client":9}}`, func(s *Settings) { s.Limits = Limits{10000, 9, 20} }},
		"empty object = default": {`{"limits":{}}`, func(s *Settings) { s.Limits = Default().Limits }},
		"nested list replaced": {`{"targets":{"allow":[{"cidr":"10.1.0.0/16"}]}}`, func(s *Settings) {
			s.Targets = Default().Targets
			s.Targets.Allow = []Target{{CIDR: "10.1.0.0/16"}}
		}},
		"nodes entries start from zero": {`{"nodes":{"10.0.0.1":{"priority":7}}}`, func(s *Settings) {
			s.Nodes = map[string]NodeSettings{"10.0.0.1": {Priority: 7}}
		}},
		"nodes emptied": {`{"nodes":{}}`, func(s *Settings) { s.Nodes = map[string]NodeSettings{} }},
	} {
		t.Run(name, func(t *testing.T) {
			want := base
			c.want(&want)
			if diff := cmp.Diff(want, merged(t, base, c.text)); diff != "" {
				t.Errorf("merged (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMergeNeverTouchesItsBase(t *testing.T) {
	base := fresh(t)
	before := string(base.JSON())
	merged(t, base, `{"disp_addrs":["a"],"nodes":{"10.0.0.1":{}},"targets":{"ports":["1"]},"internal_addrs":["10.0.0.7"]}`)
	if got := string(base.JSON()); got != before {
		t.Errorf("base after a merge: got %s, want %s", got, before)
	}
}

func TestPrefixLengthFollowsTheFamily(t *testing.T) {
	const v4, v6 = "10.0.0.100", "2001:db8::1"
	for name, c := range map[string]struct {
		virtual string
		length  int
		text    string
		want    int
	}{
		"none to IPv4":            {"", 32, `{"virtual_addr":"10.0.0.100"}`, 32},
		"none to IPv6":            {"", 32, `{"virtual_addr":"2001:db8::1"}`, 128},
		"IPv4 to IPv6":            {v4, 32, `{"virtual_addr":"2001:db8::1"}`, 128},
		"IPv6 to IPv4":            {v6, 128, `{"virtual_addr":"10.0.0.100"}`, 32},
		"IPv6 to none":            {v6, 128, `{"virtual_addr":""}`, 32},
		"posted wins":             {v4, 32, `{"virtual_addr":"2001:db8::1","virtual_prefix_len":64}`, 64},
		"a shorter one stays":     {v4, 24, `{"virtual_addr":"2001:db8::1"}`, 24},
		"same family, nothing":    {v6, 128, `{"virtual_addr":"2001:db8::2"}`, 128},
		"something else changes":  {v6, 128, `{"disp_port":1}`, 128},
		"posted, address unsaid":  {v6, 128, `{"virtual_prefix_len":32}`, 32},
		"shorter, family is kept": {v6, 64, `{"virtual_addr":"2001:db8::2"}`, 64},
	} {
		t.Run(name, func(t *testing.T) {
			base := fresh(t)
			base.VirtualAddr, base.VirtualPrefixLen = c.virtual, c.length
			if got := merged(t, base, c.text).VirtualPrefixLen; got != c.want {
				t.Errorf("virtual_prefix_len: got %d, want %d", got, c.want)
			}
		})
	}
}

func TestReviseReportsDecodingAndRulesTogether(t *testing.T) {
	_, problems := Revise(fresh(t), []byte(`{"api_port":0,"no_such_key":1,"disp_port":"x",`+
		`"targets":{"allow":[{"cidr":5},{"cidr":"10.0.0.1"}],"ports":["0"]},"internal_addrs":["10.0.0.1",7]}`))
	want := []string{
		`no_such_key`, `disp_port`, `targets.allow[0].cidr`, `internal_addrs[1]`,
		`api_port`, `targets.allow[1].cidr`, `targets.ports[0]`,
	}
	var got []string
	for _, p := range problems {
		got = append(got, p.Field)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields with problems (-want +got):\n%s\n%v", diff, problems)
	}
}

func TestChangedNamesKeysInDocumentOrder(t *testing.T) {
	a := fresh(t)
	b := merged(t, a, `{"console":{"ping_s":1},"targets":{"ports":[]},"nodes":{"10.0.0.1":{}},"is_enabled":false,"api_key":"another-key"}`)
	if diff := cmp.Diff([]string{"is_enabled", "api_key", "nodes", "targets", "console"}, Changed(a, b)); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	b = a
	b.DispAddrs, b.Nodes = nil, nil
	if diff := cmp.Diff([]string{}, Changed(a, b)); diff != "" {
		t.Errorf("nil against empty (-want +got):\n%s", diff)
	}
}

func TestNodeIsFoundByValue(t *testing.T) {
	s := Settings{Nodes: map[string]NodeSettings{"fd00:0::1": {ListenIP: "fd00::9"}}}
	if got := s.Node(netip.MustParseAddr("fd00::1")).ListenIP; got != "fd00::9" {
		t.Errorf("listen_ip of the node: got %q, want fd00::9", got)
	}
	if got := s.Node(netip.MustParseAddr("fd00::2")); got != (NodeSettings{}) {
		t.Errorf("a node that nothing is said of: got %+v, want the zero value", got)
	}
}

func TestOriginalDocument(t *testing.T) {
	s, problems := Original([]byte(missionDocument))
	if len(problems) > 0 {
		t.Fatalf("the original's document: got %v, want no problems", problems)
	}
	want := Default()
	want.InternalAddrs, want.DispAddrs = []string{"10.254.150.132"}, []string{"10.244.32.32"}
	want.PublicAddr, want.VirtualAddr = "10.254.150.136", "10.254.150.136"
	want.APIKey, want.CLIKey, want.ClusterKey = "dispatcher-key", "client-key", s.ClusterKey
	want.Targets.RequireTicket = false
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("converted (-want +got):\n%s", diff)
	}
	if len(s.ClusterKey) != 43 {
		t.Errorf("cluster_key: got %d characters, want 43 generated ones", len(s.ClusterKey))
	}
}

func TestOriginalRefusesOtherKeys(t *testing.T) {
	text := strings.Replace(missionDocument, `{`, `{"vrrp":{},"colour":"red",`, 1)
	_, problems := Original([]byte(text))
	for _, field := range []string{"vrrp", "colour"} {
		if !problems.at(field) {
			t.Errorf("problems: got %v, want one of %s", problems, field)
		}
	}
}

func TestIsOriginal(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want bool
	}{
		"all 13 keys":   {missionDocument, true},
		"some of them":  {`{"api_port":8000}`, true},
		"one of ours":   {`{"api_port":8000,"vrrp":{}}`, false},
		"an unknown":    {`{"api_port":8000,"x":1}`, false},
		"empty object":  {`{}`, false},
		"not an object": {`[]`, false},
		"not JSON":      {`hello`, false},
	} {
		if got := IsOriginal([]byte(c.text)); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// FuzzDecode: no text makes the decoder panic, and what decodes and validates
// means the same after one more turn.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		missionDocument, string(Default().JSON()), `{}`, `[`, `{"nodes":{"10.0.0.1":{"listen_ip":"::"}}}`,
		`{"virtual_addr":"::1","targets":{"allow":[{"cidr":"10.0.0.5/32","ports":["1-2"]}],"ports":[]}}`,
		`{"api_key":"\ud800xxxxxxx","a":1e99}`, `{"disp_addrs":["A.b","a.B"]}`,
	} {
		f.Add([]byte(seed))
	}
	base, err := Fresh(netip.MustParseAddr("10.0.0.1"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		next, problems := Revise(base, text)
		if len(problems) > 0 {
			return
		}
		again, problems := Revise(Default(), next.JSON())
		if len(problems) > 0 {
			t.Fatalf("re-encoded %s: %v", next.JSON(), problems)
		}
		if diff := cmp.Diff(next, again); diff != "" {
			t.Fatalf("second turn (-first +second):\n%s", diff)
		}
	})
}
