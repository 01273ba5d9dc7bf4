package original

import (
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// anything is a document that takes everything.
func anything() Document {
	return Document{
		Now: Values{
			"internal_addrs": []string{"10.0.0.1"}, "virtual_addr": "", "vrrp.version": 3, "vrrp.advert_ms": 100, "vrrp.router_id": 1, "vrrp.mode": "multicast",
			"balance.algorithm": "leastconn", "stats_port": 8003, "priority": 0,
		},
		Check: func(Values) []Problem { return nil },
	}
}

func layHAProxy(t *testing.T, d Document, text string) Report {
	t.Helper()
	file, err := ParseHAProxy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r, err := HAProxy(d, file)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func layKeepalived(t *testing.T, d Document, text string) Report {
	t.Helper()
	file, err := ParseKeepalived([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Keepalived(d, file)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func example(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The files that the original generates give all that a node needs.
func TestTheOriginalsFiles(t *testing.T) {
	d := anything()
	d.Now = layHAProxy(t, d, example(t, "haproxy.cfg")).Values
	got := layKeepalived(t, d, example(t, "keepalived.conf")).Values
	want := maps.Clone(anything().Now)
	maps.Copy(want, Values{
		"internal_addrs": []string{"10.254.150.132"}, "virtual_addr": "10.254.150.136", "virtual_prefix_len": 32, "interface": "eth0",
		"api_port": 8000, "balancer_api_port": 8002, "service_port": 443, "service_backend_port": 4300, "peers_port": 10000,
		"port_range_start": 5900, "port_range_stop": 5999, "balance.algorithm": "roundrobin", "vrrp.version": 2, "vrrp.advert_ms": 1000,
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

// No directive is passed over, nor told without its outcome.
func TestEveryLineIsTold(t *testing.T) {
	for name, r := range map[string]Report{
		"haproxy.cfg":     layHAProxy(t, anything(), example(t, "haproxy.cfg")),
		"keepalived.conf": layKeepalived(t, anything(), example(t, "keepalived.conf")),
	} {
		for i, line := range strings.Split(example(t, name), "\n") {
			inside := strings.HasPrefix(line, "    ") && !strings.HasSuffix(line, "}") && !strings.Contains(line, "check_") &&
				!strings.Contains(line, "script \"") && !strings.HasSuffix(line, "virtual_ipaddress {")
			if inside && !strings.Contains(outcome(r, i+1), " => ") {
				t.Errorf("%s: nothing is told of line %d: %s", name, i+1, line)
			}
		}
	}
}

// outcome is what became of a line.
func outcome(r Report, number int) string {
	var texts []string
	for _, l := range r.Lines {
		if l.Number == number {
			texts = append(texts, l.Text+" => "+l.Result)
		}
	}
	return strings.Join(texts, "\n")
}

func TestHAProxyLines(t *testing.T) {
	const clients = "frontend client\n bind :8002\n default_backend client\nbackend client\n server a 10.0.0.1:8000\n server b 10.0.0.2:8000\n"
	for name, tt := range map[string]struct {
		text string
		line int
		says string
	}{
		"the nodes":                {clients, 5, `taken as internal_addrs = ["10.0.0.1", "10.0.0.2"]; taken as api_port = 8000`},
		"a dispatcher":             {clients + "listen service_tunnel\n bind :443\n server d 10.9.9.9:4200\n server e 10.9.9.8:4200", 9, `taken as disp_addrs = ["10.9.9.9", "10.9.9.8"] (it is none of the nodes); taken as disp_port = 4200`},
		"a node for the tunnel":    {clients + "listen service_tunnel\n bind :443\n server b 10.0.0.2:4300", 9, "taken as service_backend_port = 4300"},
		"two ports":                {clients + "frontend api2\n bind :8005", 8, "not taken: line 2 says balancer_api_port = 8002"},
		"two addresses":            {"frontend client\n bind 10.0.0.9:8002\n bind 10.0.0.8:8002", 3, `not taken: line 2 says virtual_addr = "10.0.0.9"`},
		"IPv6":                     {"frontend client\n bind [fd00::9]:8002", 2, `taken as virtual_addr = "fd00::9"`},
		"everywhere":               {"frontend client\n bind *:8002", 2, "taken as balancer_api_port = 8002"},
		"TLS":                      {"frontend client\n bind :8002 ssl crt x.pem", 2, "options of bind are not"},
		"a name":                   {"frontend client\n bind gate:8002", 2, "not taken: the address must be an IP address"},
		"no port":                  {"frontend client\n bind 10.0.0.9", 2, "not taken: must be ADDRESS:PORT"},
		"a range":                  {"frontend x\n bind :6000-6100", 2, "taken as port_range_start = 6000; taken as port_range_stop = 6100"},
		"leastconn":                {clients + " balance leastconn", 7, "already so: balance.algorithm"},
		"by source":                {clients + " balance source", 7, `taken as balance.algorithm = "rendezvous" (which sends a client by his address too)`},
		"another algorithm":        {clients + " balance random", 7, "not taken: must be leastconn"},
		"how long clients stay":    {clients + " stick-table type ip size 1m expire 2h", 7, "taken as balance.sticky_ttl_s = 7200"},
		"weights":                  {"frontend client\n default_backend b\nbackend b\n server a 10.0.0.1:8000 weight 10", 4, "without weight: all nodes are alike"},
		"rules":                    {clients + " tcp-request connection reject if x", 7, "not taken: rules are not read"},
		"timeouts":                 {"defaults\n timeout client 1m", 2, "not taken: timeouts of this gateway"},
		"of HAProxy itself":        {"global\n daemon", 2, "not needed: it is about HAProxy itself"},
		"another service":          {"frontend web\n bind :80", 2, "not taken: what frontend web is for is not known"},
		"a password":               {"listen stats\n stats enable\n stats auth admin:hunter2", 3, "stats auth (hidden) =>"},
		"a password in a userlist": {"userlist x\n user a insecure-password hunter2", 2, "user a insecure-password (hidden) =>"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := outcome(layHAProxy(t, anything(), tt.text), tt.line); !strings.Contains(got, tt.says) || strings.Contains(got, "hunter2") {
				t.Errorf("line %d: got %q, want %q in it", tt.line, got, tt.says)
			}
		})
	}
}

func TestKeepalivedLines(t *testing.T) {
	router := func(text string) string { return "vrrp_instance x {\n" + text + "\n}\n" }
	for name, tt := range map[string]struct {
		text string
		line int
		says string
	}{
		"version 3":              {router("version 3"), 2, "already so: vrrp.version = 3"},
		"version 3 for all":      {"global_defs {\nvrrp_version 3\n}\n" + router("x"), 4, "already so: vrrp.version = 3"},
		"no version":             {router("x"), 1, "taken as vrrp.version = 2 (what this Keepalived speaks)"},
		"no interval":            {router("x"), 1, "taken as vrrp.advert_ms = 1000 (Keepalived's default)"},
		"a tenth of a second":    {router("advert_int 0.1"), 2, "already so: vrrp.advert_ms = 100"},
		"an interval of words":   {router("advert_int soon"), 2, "not taken: a number of seconds"},
		"priority":               {router("priority 150"), 2, "taken as priority = 150"},
		"router id":              {router("virtual_router_id 51"), 2, "taken as vrrp.router_id = 51"},
		"an address":             {router("virtual_ipaddress {\n10.0.0.9/24 dev eth1 label x\n}"), 3, `taken as virtual_addr = "10.0.0.9"; taken as virtual_prefix_len = 24; taken as interface = "eth1"`},
		"a second address":       {router("virtual_ipaddress {\n10.0.0.9\n10.0.0.10\n}"), 4, "not taken: there is one virtual address"},
		"unicast":                {router("unicast_src_ip 10.0.0.1"), 2, `taken as vrrp.mode = "unicast"`},
		"peers":                  {router("unicast_peer {\n10.0.0.2\n}\nunicast_src_ip 10.0.0.1"), 1, `taken as internal_addrs = ["10.0.0.1", "10.0.0.2"]`},
		"no preemption":          {router("nopreempt"), 2, "taken as vrrp.preempt = false"},
		"preemption":             {router("x"), 1, "unless vrrp.preempt is true"},
		"a password":             {router("authentication {\nauth_type PASS\nauth_pass hunter2\n}"), 2, "authentication => not taken: RFC 3768 removed it"},
		"a script":               {router("notify /x hunter2"), 2, "notify => not taken: nodes run no scripts"},
		"a virtual MAC":          {router("use_vmac"), 2, "not taken: nodes use the interface's own"},
		"something else":         {router("garp_master_delay 5"), 2, "not taken: this gateway has no such setting"},
		"a second router":        {router("x") + "vrrp_instance y {\n}\n", 4, "not taken: a node has one virtual router"},
		"another file":           {"include x.conf\n", 1, "not taken: that file is not read"},
		"a virtual server":       {"virtual_server 10.0.0.1 80 {\n}\n", 1, "not taken: this gateway has no such thing"},
		"something to be hidden": {router("x auth_pass hunter2"), 2, "x auth_pass (hidden)"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := outcome(layKeepalived(t, anything(), tt.text), tt.line); !strings.Contains(got, tt.says) || strings.Contains(got, "hunter2") {
				t.Errorf("line %d: got %q, want %q in it", tt.line, got, tt.says)
			}
		})
	}
}

// Of several virtual routers the one that has the document's address is the gateway's.
func TestTheRouterOfTheAddress(t *testing.T) {
	d := anything()
	d.Now["virtual_addr"] = "10.0.0.9"
	const text = "vrrp_instance a {\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.8\n}\n}\nvrrp_instance b {\nvirtual_router_id 2\nvirtual_ipaddress {\n10.0.0.9\n}\n}\n"
	if got := layKeepalived(t, d, text).Values["vrrp.router_id"]; got != 2 {
		t.Errorf("got router id %v, want 2", got)
	}
}

// A value that the rules refuse is left out, with what they say, and the rest is taken.
func TestWhatTheRulesRefuse(t *testing.T) {
	d := anything()
	d.Check = func(v Values) (found []Problem) {
		if v["vrrp.router_id"].(int) > 255 {
			found = append(found, Problem{"vrrp.router_id", "must be at most 255"})
		}
		if v["vrrp.version"] == 2 && v["vrrp.mode"] == "unicast" {
			found = append(found, Problem{"vrrp.checksum", "does not go together"})
		}
		return found
	}
	r := layKeepalived(t, d, "vrrp_instance a {\nvirtual_router_id 300\ninterface eth7\n}\n")
	if got := outcome(r, 2); !strings.Contains(got, "not taken: vrrp.router_id: must be at most 255") || r.Values["interface"] != "eth7" {
		t.Errorf("got %q and %v, want the rule and the rest", got, r.Values)
	}
	r = layKeepalived(t, d, "vrrp_instance a {\nunicast_src_ip 10.0.0.1\n}\n")
	if got := outcome(r, 2); !strings.Contains(got, "not taken: vrrp.checksum") || r.Values["vrrp.version"] != 3 {
		t.Errorf("a rule on something else: got %q and %v, want what changes it left out", got, r.Values)
	}
}
