package settingsdb

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// rule is one document over a fresh one (own address 10.0.0.1) and the field
// that has to be named; "" wants no problem, and says what the message holds.
type rule struct {
	text  string
	field string
	says  string
}

func checkRules(t *testing.T, rules []rule) {
	t.Helper()
	base := fresh(t)
	for _, c := range rules {
		_, problems := Revise(base, []byte(c.text))
		if c.field == "" {
			if len(problems) > 0 {
				t.Errorf("%s: got %v, want no problems", c.text, problems)
			}
			continue
		}
		if !slices.ContainsFunc(problems, func(p Problem) bool {
			return p.Field == c.field && strings.Contains(p.Message, c.says)
		}) {
			t.Errorf("%s: got %v, want a problem of %s that says %q", c.text, problems, c.field, c.says)
		}
	}
}

func key(n int) string { return strings.Repeat("k", n) }

func TestRulesOfAddresses(t *testing.T) {
	seventeen := make([]string, 17)
	for i := range seventeen {
		seventeen[i] = fmt.Sprintf(`"10.0.1.%d"`, i)
	}
	checkRules(t, []rule{
		{`{"internal_addrs":["10.0.0.1","10.0.0.2","2001:DB8::1"]}`, "", ""},
		{`{"internal_addrs":["127.0.0.1","127.0.0.2","::1"]}`, "", ""},
		{`{"internal_addrs":[` + strings.Join(seventeen[:16], ",") + `]}`, "", ""},
		{`{"internal_addrs":[` + strings.Join(seventeen, ",") + `]}`, "internal_addrs", "1 to 16"},
		{`{"internal_addrs":[]}`, "internal_addrs", "1 to 16"},
		{`{"internal_addrs":["host"]}`, "internal_addrs[0]", "IP address"},
		{`{"internal_addrs":["10.0.0.1","10.0.0.1"]}`, "internal_addrs[1]", "unique"},
		{`{"internal_addrs":["10.0.0.1","::ffff:10.0.0.1"]}`, "internal_addrs[1]", "unique"},
		{`{"internal_addrs":["fd00::1","fd00:0::01"]}`, "internal_addrs[1]", "unique"},
		{`{"internal_addrs":["fe80::1%eth0"]}`, "internal_addrs[0]", "zone"},
		{`{"internal_addrs":["0.0.0.0"]}`, "internal_addrs[0]", "unspecified"},
		{`{"internal_addrs":["::"]}`, "internal_addrs[0]", "unspecified"},
		{`{"internal_addrs":["224.0.0.18"]}`, "internal_addrs[0]", "multicast"},
		{`{"internal_addrs":["::ffff:224.0.0.18"]}`, "internal_addrs[0]", "multicast"},
		{`{"internal_addrs":["255.255.255.255"]}`, "internal_addrs[0]", "broadcast"},
		{`{"internal_addrs":["127.0.0.1","10.0.0.1"]}`, "internal_addrs", "loopback"},
		{`{"internal_addrs":["10.0.0.1"],"virtual_addr":"10.0.0.1"}`, "internal_addrs[0]", "virtual_addr"},
		{`{"internal_addrs":["fd00::1"],"virtual_addr":"FD00:0::1"}`, "internal_addrs[0]", "virtual_addr"},
		{`{"disp_addrs":["10.0.0.9","disp-1.example.org","2001:db8::1","a"]}`, "", ""},
		{`{"disp_addrs":["under_score"]}`, "disp_addrs[0]", "host name"},
		{`{"disp_addrs":["-a"]}`, "disp_addrs[0]", "host name"},
		{`{"disp_addrs":["a-.b"]}`, "disp_addrs[0]", "host name"},
		{`{"disp_addrs":[""]}`, "disp_addrs[0]", "host name"},
		{`{"disp_addrs":["a..b"]}`, "disp_addrs[0]", "host name"},
		{`{"disp_addrs":["10.0.0.256"]}`, "disp_addrs[0]", "host name"},
		{`{"disp_addrs":["host:4200"]}`, "disp_addrs[0]", "host name"},
		{`{"disp_addrs":["` + key(63) + `.org"]}`, "", ""},
		{`{"disp_addrs":["` + key(64) + `.org"]}`, "disp_addrs[0]", "host name"},
		{`{"disp_addrs":["` + strings.Repeat("abcdefghi.", 26) + `"]}`, "disp_addrs[0]", "host name"},
		{`{"disp_addrs":["Disp.example","disp.EXAMPLE"]}`, "disp_addrs[1]", "unique"},
		{`{"disp_addrs":["10.0.0.9","::ffff:10.0.0.9"]}`, "disp_addrs[1]", "unique"},
		{`{"disp_addrs":["0.0.0.0"]}`, "disp_addrs[0]", "unspecified"},
		{`{"public_addr":"gate.example.org"}`, "", ""},
		{`{"public_addr":"198.51.100.1"}`, "", ""},
		{`{"public_addr":""}`, "", ""},
		{`{"public_addr":"http://gate"}`, "public_addr", "host name"},
		{`{"public_addr":"ff02::1"}`, "public_addr", "multicast"},
		{`{"virtual_addr":"10.0.0.100"}`, "", ""},
		{`{"virtual_addr":"2001:db8::5"}`, "", ""},
		{`{"virtual_addr":"gate.example.org"}`, "virtual_addr", "IP address"},
		{`{"virtual_addr":"::"}`, "virtual_addr", "unspecified"},
		{`{"virtual_addr":"239.1.2.3"}`, "virtual_addr", "multicast"},
		{`{"virtual_prefix_len":33}`, "virtual_prefix_len", "0 to 32"},
		{`{"virtual_prefix_len":-1}`, "virtual_prefix_len", "0 to 32"},
		{`{"virtual_addr":"2001:db8::5","virtual_prefix_len":129}`, "virtual_prefix_len", "0 to 128"},
		{`{"virtual_prefix_len":24}`, "", ""},
		{`{"virtual_addr":"2001:db8::5","virtual_prefix_len":32}`, "", ""},
	})
}

func TestRulesOfPorts(t *testing.T) {
	rules := []rule{
		{`{"port_range_start":20000,"port_range_stop":29999}`, "", ""},
		{`{"port_range_start":20000,"port_range_stop":30000}`, "port_range_stop", "at most 10000"},
		{`{"port_range_start":6000,"port_range_stop":5999}`, "port_range_stop", "port_range_start"},
		{`{"port_range_start":6000,"port_range_stop":6000}`, "", ""},
		{`{"port_range_start":0}`, "port_range_start", "1 to 65535"},
		{`{"port_range_stop":65536}`, "port_range_stop", "1 to 65535"},
		{`{"api_port":443}`, "service_port", "differ from api_port"},
		{`{"stats_port":10000}`, "peers_port", "differ from stats_port"},
		{`{"disp_port":443}`, "", ""},
	}
	for _, field := range []string{
		"api_port", "balancer_api_port", "disp_port", "service_port", "service_backend_port", "stats_port", "peers_port",
	} {
		rules = append(rules,
			rule{`{"` + field + `":1}`, "", ""},
			rule{`{"` + field + `":65535}`, "", ""},
			rule{`{"` + field + `":0}`, field, "1 to 65535"},
			rule{`{"` + field + `":-1}`, field, "1 to 65535"},
			rule{`{"` + field + `":65536}`, field, "1 to 65535"},
			rule{`{"` + field + `":5899}`, "", ""},
			rule{`{"` + field + `":5900}`, field, "outside of the port range"},
			rule{`{"` + field + `":5999}`, field, "outside of the port range"},
			rule{`{"` + field + `":6000}`, "", ""},
		)
	}
	checkRules(t, rules)
}

func TestRulesOfKeys(t *testing.T) {
	rules := []rule{
		{`{"api_key":"same-as-it","cli_key":"same-as-it"}`, "cli_key", "differ"},
		{`{"cluster_key":"` + key(15) + `"}`, "cluster_key", "16 to 256"},
		{`{"cluster_key":"` + key(16) + `"}`, "", ""},
		{`{"cluster_key":""}`, "cluster_key", "16 to 256"},
		{`{"api_key":"` + key(7) + `"}`, "api_key", "8 to 256"},
		{`{"cli_key":"` + key(8) + `"}`, "", ""},
	}
	for _, field := range []string{"api_key", "cli_key", "cluster_key"} {
		rules = append(rules,
			rule{`{"` + field + `":"` + key(256) + `"}`, "", ""},
			rule{`{"` + field + `":"` + key(257) + `"}`, field, "to 256"},
			rule{`{"` + field + `":"!~` + key(20) + `"}`, "", ""},
			rule{`{"` + field + `":"a b` + key(20) + `"}`, field, "visible ASCII"},
			rule{`{"` + field + `":"\u007f` + key(20) + `"}`, field, "visible ASCII"},
			rule{`{"` + field + `":"ü` + key(20) + `"}`, field, "visible ASCII"},
			rule{`{"` + field + `":"\n` + key(20) + `"}`, field, "visible ASCII"},
		)
	}
	checkRules(t, rules)
}

func TestProblemsNeverShowKeys(t *testing.T) {
	_, problems := Revise(fresh(t), []byte(`{"api_key":"topsecr","cli_key":"top secret","cluster_key":"topsecret"}`))
	if len(problems) != 3 || strings.Contains(problems.Error(), "topsecr") || strings.Contains(problems.Error(), "top s") {
		t.Errorf("got %v, want three problems that show no key", problems)
	}
}

func TestRulesOfNumbers(t *testing.T) {
	var rules []rule
	for _, c := range []struct {
		object, key string
		low, high   int
		available   bool
	}{
		{"limits", "max_connections", 0, 1_000_000, true},
		{"limits", "max_per_client", 0, 1_000_000, true},
		{"limits", "open_per_client_per_s", 0, 1_000_000, true},
		{"timeouts", "grant_s", 0, 86400, true},
		{"timeouts", "dial_ms", 0, 120000, true},
		{"timeouts", "idle_s", 0, 31536000, true},
		{"timeouts", "half_close_s", 0, 31536000, true},
		{"timeouts", "keepalive_s", 0, 32767, true},
		{"timeouts", "user_timeout_ms", 0, 86400000, true},
		{"timeouts", "session_max_s", 0, 31536000, true},
		{"console", "ping_s", 0, 3600, true},
		{"vrrp", "version", 2, 3, false},
		{"vrrp", "router_id", 1, 255, true},
		{"vrrp", "advert_ms", 10, 40950, true},
		{"vrrp", "preempt_delay_s", 0, 86400, true},
		{"balance", "sticky_ttl_s", 1, 31536000, false},
		{"balance", "sticky_mask_v4", 0, 32, false},
		{"balance", "sticky_mask_v6", 0, 128, false},
	} {
		field := c.object + "." + c.key
		says := fmt.Sprintf("must be %d to %d", c.low, c.high)
		text := func(n int) string { return fmt.Sprintf(`{%q:{%q:%d}}`, c.object, c.key, n) }
		rules = append(rules, rule{text(c.low - 1), field, says}, rule{text(c.high + 1), field, says})
		if c.available {
			rules = append(rules, rule{text(c.low), "", ""}, rule{text(c.high), "", ""})
		}
	}
	checkRules(t, rules)
}

func TestRulesOfTargets(t *testing.T) {
	allow := func(entry string) string { return `{"targets":{"allow":[` + entry + `]}}` }
	ports := func(entry string) string { return `{"targets":{"ports":["` + entry + `"]}}` }
	checkRules(t, []rule{
		{allow(`{"cidr":"10.0.0.5/32"},{"cidr":"fd00::/8","ports":["22","5900-5999"]},{"cidr":"0.0.0.0/0"}`), "", ""},
		{allow(``), "", ""},
		{allow(`{"cidr":"10.0.0.5/8"}`), "targets.allow[0].cidr", "10.0.0.0/8"},
		{allow(`{"cidr":"10.0.0.0/8"},{"cidr":"fd00::1/64"}`), "targets.allow[1].cidr", "fd00::/64"},
		{allow(`{"cidr":"10.0.0.5"}`), "targets.allow[0].cidr", "write 10.0.0.5/32"},
		{allow(`{"cidr":"fd00::5"}`), "targets.allow[0].cidr", "write fd00::5/128"},
		{allow(`{"cidr":"::ffff:10.0.0.0/104"}`), "targets.allow[0].cidr", "IPv4"},
		{allow(`{"cidr":"fe80::%eth0/64"}`), "targets.allow[0].cidr", "network"},
		{allow(`{"cidr":"10.0.0.0/33"}`), "targets.allow[0].cidr", "network"},
		{allow(`{"cidr":"vm.example.org"}`), "targets.allow[0].cidr", "network"},
		{allow(`{}`), "targets.allow[0].cidr", "network"},
		{allow(`{"cidr":"10.0.0.0/8","ports":[]}`), "targets.allow[0].ports", "leave it out"},
		{allow(`{"cidr":"10.0.0.0/8","ports":["22","x"]}`), "targets.allow[0].ports[1]", "port or a range"},
		{allow(`{"cidr":"10.0.0.0/8","port":["22"]}`), "targets.allow[0].port", `did you mean "ports"`},
		{`{"targets":{"ports":[]}}`, "", ""},
		{`{"targets":{"require_ticket":false}}`, "", ""},
		{ports("1"), "", ""},
		{ports("1-65535"), "", ""},
		{ports("7-7"), "", ""},
		{ports("0"), "targets.ports[0]", "port or a range"},
		{ports("65536"), "targets.ports[0]", "port or a range"},
		{ports("8-7"), "targets.ports[0]", "port or a range"},
		{ports("0-7"), "targets.ports[0]", "port or a range"},
		{ports("1-"), "targets.ports[0]", "port or a range"},
		{ports("1-2-3"), "targets.ports[0]", "port or a range"},
		{ports("+1"), "targets.ports[0]", "port or a range"},
		{ports(" 1"), "targets.ports[0]", "port or a range"},
		{`{"targets":{"ports":[5900]}}`, "targets.ports[0]", "must be a string, got a number"},
	})
}

func TestRulesOfTheRest(t *testing.T) {
	proxies := func(entry string) string { return `{"trusted_proxies":["` + entry + `"]}` }
	origin := func(entry string) string { return `{"console":{"allowed_origins":["` + entry + `"]}}` }
	checkRules(t, []rule{
		{`{"is_enabled":false,"compression":false}`, "", ""},
		{`{"listen_ip":"10.0.0.1"}`, "", ""},
		{`{"listen_ip":"::"}`, "", ""},
		{`{"listen_ip":"fe80::1%eth0"}`, "", ""},
		{`{"listen_ip":"fd00::1%eth0"}`, "listen_ip", "zone"},
		{`{"listen_ip":"host"}`, "listen_ip", "IP address"},
		{`{"listen_ip":"ff02::1"}`, "listen_ip", "multicast"},
		{`{"nodes":{"10.0.0.1":{"listen_ip":"10.0.0.1"}}}`, "", ""},
		{`{"nodes":{"10.0.0.1":{}}}`, "", ""},
		{`{"nodes":{"10.0.0.2":{}}}`, "nodes.10.0.0.2", "internal_addrs"},
		{`{"nodes":{"name":{}}}`, "nodes.name", "internal_addrs"},
		{`{"nodes":{"10.0.0.1":{},"::ffff:10.0.0.1":{}}}`, "nodes.::ffff:10.0.0.1", "unique"},
		{`{"nodes":{"10.0.0.1":{"listen_ip":"x"}}}`, "nodes.10.0.0.1.listen_ip", "IP address"},
		{`{"nodes":{"10.0.0.1":{"priority":255}}}`, "nodes.10.0.0.1.priority", "0 to 254"},
		{`{"nodes":{"10.0.0.1":{"priority":"x"}}}`, "nodes.10.0.0.1.priority", "whole number"},
		{`{"nodes":{"10.0.0.1":{"interface":"a b"}}}`, "nodes.10.0.0.1.interface", "no blank"},
		{`{"interface":"0123456789abcdef"}`, "interface", "at most 15"},
		{`{"interface":"a/b"}`, "interface", "no blank"},
		{`{"interface":".."}`, "interface", "name of a network interface"},
		{`{"vrrp":{"advert_ms":105}}`, "vrrp.advert_ms", "multiple of 10"},
		{`{"vrrp":{"mode":"broadcast"}}`, "vrrp.mode", "multicast or unicast"},
		{`{"vrrp":{"checksum":"none"}}`, "vrrp.checksum", "pseudo_header or rfc9568"},
		{`{"vrrp":{"version":2}}`, "vrrp.advert_ms", "whole seconds"},
		{`{"vrrp":{"version":2,"advert_ms":1000},"virtual_addr":"fd00::5"}`, "vrrp.version", "IPv4 only"},
		{`{"vrrp":{"version":2,"advert_ms":1000}}`, "", ""},
		{`{"vrrp":{"mode":"unicast","preempt":true,"checksum":"rfc9568"},"virtual_addr":"10.0.0.9"}`, "", ""},
		{`{"vrrp":{"mode":"unicast"},"virtual_addr":"fd00::5"}`, "vrrp.mode", "internal_addrs"},
		{`{"interface":"eth0","nodes":{"10.0.0.1":{"interface":"ens4","priority":200}}}`, "", ""},
		{`{"balance":{"algorithm":"random"}}`, "balance.algorithm", "leastconn or roundrobin or rendezvous"},
		{`{"access":{"policy":"maybe"}}`, "access.policy", "allow or deny"},
		{`{"access":{"allow_from":"10.0.0.1-10.0.0.5, fd00::/8","deny_from":"all","policy":"deny"}}`, "", ""},
		{`{"access":{"allow_from":"10.0.0.1,10.0.0.1/8"}}`, "access.allow_from", "position 10"},
		{`{"access":{"deny_from":"desk.example.org"}}`, "access.deny_from", "IP address"},
		{`{"forwarding":"magic"}`, "forwarding", "proxy or kernel"},
		{`{"inside_addr":"host"}`, "inside_addr", "IP address"},
		{`{"inside_addr":"fd00::1","virtual_addr":"10.0.0.9"}`, "inside_addr", "family"},
		{`{"inside_addr":"10.0.0.8"}`, "inside_addr", "family"},
		{`{"inside_addr":"10.0.0.1","virtual_addr":"10.0.0.9"}`, "inside_addr", "node's own"},
		{`{"forwarding":"kernel"}`, "", ""},
		{`{"forwarding":"kernel","inside_addr":"10.0.0.8","virtual_addr":"10.0.0.9"}`, "", ""},
		{proxies("host"), "trusted_proxies[0]", "IP address"},
		{proxies("10.0.0.1/8"), "trusted_proxies[0]", "10.0.0.0/8"},
		{proxies("0.0.0.0"), "trusted_proxies[0]", "unspecified"},
		{origin("desk.example.org"), "console.allowed_origins[0]", "origin such as"},
		{origin("ftp://desk.example.org"), "console.allowed_origins[0]", "origin such as"},
		{origin("https://desk.example.org/"), "console.allowed_origins[0]", "origin such as"},
		{origin("https://desk.example.org:0"), "console.allowed_origins[0]", "origin such as"},
		{origin("https://a@desk.example.org"), "console.allowed_origins[0]", "origin such as"},
		{origin("*"), "console.allowed_origins[0]", "every page"},
		{origin("https://*.example.org"), "console.allowed_origins[0]", "every page"},
		{origin("null"), "console.allowed_origins[0]", "pages of anybody"},
		{origin("desk.example.org:8000"), "console.allowed_origins[0]", "http:// or https://"},
		{origin("https://desk.example.org?x"), "console.allowed_origins[0]", "without a path"},
		{origin("https://2001:db8::1"), "console.allowed_origins[0]", "in brackets"},
		{origin("https://[2001:db8::1]:8443"), "", ""},
		{origin("HTTPS://Desk.Example.ORG:443"), "", ""},
		{origin("https://bücher.example"), "", ""},
		{`{"console":{"allowed_origins":["https://a.example","http://b.example:8080"]}}`, "", ""},
		{`{"console":{"allowed_origins":["https://a.example","b"]}}`, "console.allowed_origins[1]", "origin such as"},
	})
}

func TestRulesOfTLS(t *testing.T) {
	tls := func(members string) string { return `{"tls":{` + members + `}}` }
	pair := func(cert, key string) string { return tls(`"cert_file":"` + cert + `","key_file":"` + key + `"`) }
	longest := "/" + strings.Repeat("a", 4095)
	checkRules(t, []rule{
		{`{"ssl":true}`, "", ""},
		{pair("/etc/ssl/gate.pem", "/etc/ssl/gate.key"), "", ""},
		{pair("/etc/ssl/gate.pem", ""), "tls.key_file", "must be set together with tls.cert_file"},
		{pair("", "/etc/ssl/gate.key"), "tls.cert_file", "must be set together with tls.key_file"},
		{pair("gate.pem", "/etc/ssl/gate.key"), "tls.cert_file", `must be an absolute path or empty, is "gate.pem"`},
		{pair("/etc/ssl/gate.pem", "./gate.key"), "tls.key_file", "absolute path"},
		{pair("/etc/ssl/gate.pem", `/etc/ssl/gate\u0000.key`), "tls.key_file", "without NUL bytes"},
		{pair(longest, longest), "", ""},
		{pair(longest+"a", longest), "tls.cert_file", "at most 4096 bytes, has 4097"},
		{tls(`"disable_tls_1_2":true`), "", ""},
		{tls(`"disable_tls_1_3":true,"honor_cipher_order":false`), "", ""},
		{tls(`"disable_tls_1_2":true,"disable_tls_1_3":true`), "tls.disable_tls_1_3", "has to stay"},
		{tls(`"dhparams":"/etc/ssl/dh.pem"`), "", ""},
		{tls(`"dhparams":"skip"`), "tls.dhparams", `must be an absolute path or empty, is "skip"`},
		{tls(`"ciphers":"ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-SHA:RC4-SHA"`), "", ""},
		{tls(`"ciphers":"ECDHE-RSA-AES128-GCM-SHA256:!aNULL"`), "tls.ciphers", `"!aNULL" at position 29: is an operator`},
		{tls(`"ciphers":"ECDHE-RSA-AES128-GCM"`), "tls.ciphers", "did you mean ECDHE-RSA-AES128-GCM-SHA256?"},
		{tls(`"ciphers":"DHE-RSA-AES128-SHA"`), "tls.ciphers", "none of these suites"},
		{tls(`"ciphers":"DHE-RSA-AES128-SHA","disable_tls_1_2":true`), "", ""},
		{tls(`"ciphers":"HIGH","disable_tls_1_2":true`), "tls.ciphers", "a group"},
		{tls(`"ciphersuites":"TLS_AES_128_GCM_SHA256:TLS_AES_128_CCM_SHA256"`), "", ""},
		{tls(`"ciphersuites":"AES128-SHA"`), "tls.ciphersuites", "belongs into tls.ciphers"},
	})
}

func TestTheWholeDocumentIsAccepted(t *testing.T) {
	s := fresh(t)
	if _, problems := Revise(s, s.JSON()); len(problems) > 0 {
		t.Errorf("the whole fresh document posted: got %v, want no problems", problems)
	}
}

func TestParsePorts(t *testing.T) {
	for text, want := range map[string]PortRange{"22": {22, 22}, "5900-5999": {5900, 5999}, "1-65535": {1, 65535}} {
		if got, err := ParsePorts(text); err != nil || got != want {
			t.Errorf("%s: got %v and error %v, want %v", text, got, err, want)
		}
	}
}

func TestWarnings(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want string
	}{
		"open to any holder": {`{"targets":{"require_ticket":false}}`, "any holder of cli_key may name any allowed VM"},
		"short key":          {`{"api_key":"Ab3$x9Qz"}`, "api_key is easy to guess"},
		"monotonous key":     {`{"cli_key":"` + key(43) + `"}`, "cli_key is easy to guess"},
		"no target":          {`{"targets":{"allow":[]}}`, "no VM can be reached"},
		"every target":       {`{"targets":{"allow":[{"cidr":"::/0"}]}}`, "any address may be reached"},
		"endless grants":     {`{"timeouts":{"grant_s":0}}`, "timeouts.grant_s is 0"},
		"weak suites":        {`{"tls":{"ciphers":"ECDHE-RSA-AES128-SHA:RC4-SHA:AES128-SHA"}}`, "tls.ciphers names weak suites: RC4-SHA, AES128-SHA"},
		"suites Go has not":  {`{"tls":{"ciphers":"ECDHE-RSA-AES128-SHA:DHE-RSA-AES128-SHA"}}`, "does not have: DHE-RSA-AES128-SHA"},
	} {
		got := Warnings(merged(t, fresh(t), c.text))
		if len(got) != 1 || !strings.Contains(got[0], c.want) {
			t.Errorf("%s: got %q, want one warning with %q", name, got, c.want)
		}
	}
	s := merged(t, fresh(t), `{"tls":{"ciphers":"RC4-SHA:DHE-RSA-AES128-SHA","disable_tls_1_2":true}}`)
	if got := Warnings(s); len(got) > 0 {
		t.Errorf("a list of suites without TLS 1.2: got %q, want no warnings", got)
	}
	s = fresh(t)
	if got := Warnings(s); len(got) > 0 {
		t.Errorf("a fresh document: got %q, want no warnings", got)
	}
	s.ClusterKey = s.APIKey
	if got := Warnings(s); len(got) != 1 || !strings.Contains(got[0], "cluster_key") {
		t.Errorf("cluster_key = api_key: got %q, want one warning", got)
	}
}

func TestFreshRefusesAnAddressNobodyHas(t *testing.T) {
	for _, own := range []netip.Addr{{}, netip.IPv6Unspecified(), netip.MustParseAddr("fe80::1%eth0")} {
		if _, err := Fresh(own); err == nil {
			t.Errorf("Fresh(%s): got no error, want one", own)
		}
	}
}
