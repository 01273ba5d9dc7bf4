package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vdi-gateway/api"
	"vdi-gateway/gateway/kernel"
	"vdi-gateway/settingsdb"
)

// judged is what a table says of some findings: the worst one and words of it.
func judged(t *testing.T, list []finding, want level, words ...string) {
	t.Helper()
	for _, f := range list {
		if f.Level != want {
			continue
		}
		for _, w := range words {
			if !strings.Contains(f.Found+" "+f.Do, w) {
				t.Errorf("got %+v, want %q in it", f, w)
			}
		}
		if want != levelOK && f.Do == "" {
			t.Errorf("got %+v, want what to do", f)
		}
		return
	}
	t.Errorf("got %+v, want %s", list, want)
}

func TestResult(t *testing.T) {
	for _, tt := range []struct {
		levels []level
		want   string
		code   int
	}{
		{nil, "ok", 0},
		{[]level{levelOK}, "ok", 0},
		{[]level{levelOK, levelUnknown}, "unknown", 2},
		{[]level{levelUnknown, levelWarn}, "wrong", 1},
		{[]level{levelFail, levelUnknown}, "wrong", 1},
	} {
		var list []finding
		for _, l := range tt.levels {
			list = append(list, finding{Level: l})
		}
		got := resultOf(list)
		if got != tt.want || tt.code != 0 && exitCode(fmt.Errorf("x: %w", diagnosed(got))) != tt.code {
			t.Errorf("%v: got %s, want %s and exit status %d", tt.levels, got, tt.want, tt.code)
		}
	}
	if got := exitCode(errors.New("x")); got != 1 {
		t.Errorf("another error: got exit status %d, want 1", got)
	}
}

func TestPrintedForPeople(t *testing.T) {
	var out bytes.Buffer
	d := diagnosis{Checks: []finding{fine("disk", "it has room"), failed("clock", "set it", "it is\nwrong")}}
	const want = "ok       disk   it has room\nfail     clock  it is; wrong\n                -> set it\n"
	if err := d.print(&out); err != nil || out.String() != want {
		t.Errorf("got %v and\n%swant\n%s", err, out.String(), want)
	}
}

func TestDiskFinding(t *testing.T) {
	for name, tt := range map[string]struct {
		disk disk
		want level
		says string
	}{
		"room":          {disk{free: 5 << 30, files: 1e6, counts: true}, levelOK, "5.0 GiB"},
		"not counted":   {disk{free: 5 << 30}, levelOK, ""},
		"little":        {disk{free: 900 << 20}, levelWarn, "900.0 MiB"},
		"none":          {disk{free: 1 << 20}, levelFail, "1.0 MiB"},
		"no files left": {disk{free: 5 << 30, files: 10, counts: true}, levelFail, "10 files"},
		"read-only":     {disk{free: 5 << 30, readOnly: true}, levelFail, "read-only"},
		"no folder":     {disk{folder: "/x", err: fs.ErrNotExist}, levelFail, "no folder /x"},
		"hidden":        {disk{err: fs.ErrPermission}, levelUnknown, ""},
	} {
		t.Run(name, func(t *testing.T) { judged(t, []finding{diskFinding(tt.disk)}, tt.want, tt.says) })
	}
}

func TestDatabaseFinding(t *testing.T) {
	whole := settingsdb.Examination{Revision: settingsdb.Revision{Number: 7}}
	edited, damaged, original := whole, whole, whole
	edited.Revision.Edited, damaged.Damage, original.Original = true, "page 3 is lost", true
	for name, tt := range map[string]struct {
		e    settingsdb.Examination
		err  error
		want level
		says string
	}{
		"whole":    {whole, nil, levelOK, "revision 7"},
		"none":     {whole, settingsdb.ErrNotExist, levelOK, "no x.db yet"},
		"hidden":   {whole, fs.ErrPermission, levelUnknown, "as root"},
		"busy":     {whole, settingsdb.ErrBusy, levelUnknown, ""},
		"newer":    {whole, settingsdb.ErrNewer, levelFail, "install"},
		"corrupt":  {whole, settingsdb.ErrCorrupt, levelFail, "backup"},
		"damaged":  {damaged, nil, levelFail, "page 3 is lost"},
		"edited":   {edited, nil, levelWarn, "by hand"},
		"original": {original, nil, levelWarn, "original"},
	} {
		t.Run(name, func(t *testing.T) { judged(t, []finding{databaseFinding("x.db", tt.e, tt.err)}, tt.want, tt.says) })
	}
}

func TestProcessFindings(t *testing.T) {
	const all = math.MaxUint64
	need := needs{address: true, lowPort: 443, ports: 100, tunnels: 1000}
	for _, tt := range []struct {
		name  string
		judge func(process, needs) finding
		p     process
		n     needs
		want  level
		says  string
	}{
		{"may all", capabilityFinding, process{pid: 9, caps: all, freePort: 1024}, need, levelOK, "process 9"},
		{"may nothing", capabilityFinding, process{pid: 9, freePort: 1024}, need, levelFail, "CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE"},
		{"needs nothing", capabilityFinding, process{pid: 9, freePort: 1024}, needs{lowPort: 8000}, levelOK, ""},
		{"low ports are free to all", capabilityFinding, process{pid: 9}, needs{lowPort: 443}, levelOK, ""},
		{"another user's command", capabilityFinding, process{freePort: 1024}, need, levelUnknown, "no node runs"},
		{"no node", capabilityFinding, process{caps: all, freePort: 1024}, need, levelOK, "no node runs"},
		{"a process that is hidden", capabilityFinding, process{pid: 9, err: fs.ErrPermission}, need, levelUnknown, ""},
		{"descriptors for all", descriptorFinding, process{pid: 9, files: 2700}, need, levelOK, "1000 tunnels"},
		{"some descriptors less", descriptorFinding, process{pid: 9, files: 2698}, need, levelWarn, "LimitNOFILE=2700"},
		{"hardly any", descriptorFinding, process{pid: 9, files: 100}, need, levelWarn, "enough for 0 tunnels"},
		{"any number", descriptorFinding, process{pid: 9, files: all}, needs{}, levelOK, "any number"},
		{"a few for any number of tunnels", descriptorFinding, process{pid: 9, files: 1024}, needs{}, levelWarn, "LimitNOFILE=2500"},
		{"descriptors without a node", descriptorFinding, process{files: 10}, need, levelOK, "LimitNOFILE=2700"},
	} {
		t.Run(tt.name, func(t *testing.T) { judged(t, []finding{tt.judge(tt.p, tt.n)}, tt.want, tt.says) })
	}
	judged(t, []finding{memoryFinding(process{pid: 9, swapped: 5 << 20})}, levelWarn, "5.0 MiB")
	judged(t, []finding{memoryFinding(process{pid: 9})}, levelOK)
}

func TestProcessIsReadFromProc(t *testing.T) {
	var p process
	p.read("Name:\tx\nVmSwap:\t     12 kB\nCapEff:\t0000000000003400\n",
		"Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 524288               files     \n")
	if p.caps != 0x3400 || p.swapped != 12<<10 || p.files != 524288 || p.err != nil {
		t.Errorf("got %+v, want the three capabilities, 12 kB and 524288 descriptors", p)
	}
	p.read("", "Max open files  unlimited  unlimited  files\n")
	if p.files != math.MaxUint64 {
		t.Errorf("unlimited: got %d descriptors, want any number", p.files)
	}
}

func TestKernelFindings(t *testing.T) {
	unset := kernel.Examination{Unset: []string{"a is 0, 1 is needed"}}
	judged(t, kernelFindings(unset, true), levelFail, "a is 0", "/etc/sysctl.d")
	judged(t, kernelFindings(unset, false), levelOK, "a is 0")
	judged(t, kernelFindings(kernel.Examination{Lacks: []string{"no nf_nat"}}, false), levelFail, "no nf_nat", "proxy")
	judged(t, kernelFindings(kernel.Examination{Warnings: []string{"table x drops"}}, true), levelWarn, "table x drops")
	judged(t, kernelFindings(kernel.Examination{Unseen: fs.ErrPermission}, true), levelUnknown)
	judged(t, kernelFindings(kernel.Examination{}, true), levelOK)
}

func TestHealthFinding(t *testing.T) {
	bad := api.Health{Status: "degraded", Checks: []api.Check{{Name: "audit", Detail: "disk full"}, {Name: "fine", OK: true}}, Dispatchers: []api.Dispatcher{{Addr: "d:1"}}}
	for name, tt := range map[string]struct {
		pid  int
		h    ownHealth
		want level
		says string
	}{
		"no node":     {0, ownHealth{err: errors.New("x")}, levelOK, "no node runs"},
		"it hangs":    {9, ownHealth{err: errors.New("timeout")}, levelFail, "process 9"},
		"ok":          {9, ownHealth{Health: api.Health{Status: "ok"}}, levelOK, ""},
		"degraded":    {9, ownHealth{Health: bad}, levelWarn, "audit: disk full; dispatcher d:1"},
		"draining":    {9, ownHealth{Health: api.Health{Status: "draining"}}, levelWarn, "drain"},
		"disabled":    {9, ownHealth{Health: api.Health{Status: "disabled"}}, levelWarn, "is_enabled"},
		"it does not": {9, ownHealth{Health: api.Health{Status: "fail"}}, levelFail, "fail"},
	} {
		t.Run(name, func(t *testing.T) { judged(t, []finding{healthFinding(tt.pid, tt.h)}, tt.want, tt.says) })
	}
}

func TestSkew(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(s * float64(time.Second))) }
	for _, tt := range []struct{ before, after, date, want float64 }{
		{0, 0.1, 0, 0},         // the same second
		{0.9, 1.1, 0, 0},       // a second may have passed while the answer came
		{0.95, 1.05, 1, 0},     // likewise
		{0, 0.1, 3, 2.9},       // ahead
		{10.1, 10.2, 3, -6.1},  // behind, by what cannot be rounding
		{0, 5, 3, 0},           // an answer that took long says less
		{0, 0.1, 3600, 3599.9}, // a time zone
	} {
		got := skew(at(tt.before), at(tt.after), at(tt.date)).Seconds()
		if math.Abs(got-tt.want) > 1e-6 {
			t.Errorf("%+v: got %v", tt, got)
		}
	}
}

func TestFellowFindings(t *testing.T) {
	now := time.Unix(1000, 0)
	node := netip.MustParseAddr("10.0.0.2")
	f := func(ahead time.Duration, revision int64, v string) fellowState {
		return fellowState{node: node, before: now, after: now, date: now.Add(ahead), health: api.Health{SettingsRevision: revision, Version: v}}
	}
	for name, tt := range map[string]struct {
		f    fellowState
		want level
		says string
	}{
		"like here":      {f(0, 3, version), levelOK, ""},
		"a bit ahead":    {f(3*time.Second, 3, version), levelWarn, "3s ahead of"},
		"behind":         {f(-10*time.Second, 3, version), levelWarn, "9s behind"},
		"far behind":     {f(-time.Hour, 3, version), levelFail, "behind"},
		"other settings": {f(0, 4, version), levelFail, "revision 4"},
		"other version":  {f(0, 3, "9.9"), levelWarn, "9.9"},
		"no date":        {fellowState{node: node, before: now, after: now, health: api.Health{SettingsRevision: 3, Version: version}}, levelUnknown, "date -u"},
		"silent":         {fellowState{node: node, err: errors.New("refused")}, levelFail, "does not answer"},
		"another key":    {fellowState{node: node, err: &apiError{Status: 401}}, levelFail, "api_key"},
	} {
		t.Run(name, func(t *testing.T) { judged(t, fellowFindings(3, []fellowState{tt.f}), tt.want, tt.says) })
	}
}

func TestDispatcherFindings(t *testing.T) {
	up, down := dispatcherState{host: "a:1"}, dispatcherState{host: "b:1", dial: errors.New("refused")}
	lost, slow := dispatcherState{host: "c:1", dns: errors.New("no such host")}, dispatcherState{host: "d:1", took: 3 * time.Second}
	judged(t, dispatcherFindings(nil), levelOK, "empty")
	judged(t, dispatcherFindings([]dispatcherState{up}), levelOK, "a:1")
	judged(t, dispatcherFindings([]dispatcherState{down}), levelFail, "b:1")
	judged(t, dispatcherFindings([]dispatcherState{up, down}), levelWarn, "b:1")
	judged(t, dispatcherFindings([]dispatcherState{lost}), levelFail, "resolv.conf")
	judged(t, dispatcherFindings([]dispatcherState{slow}), levelWarn, "3s")
}

func TestPacketFindings(t *testing.T) {
	node := netip.MustParseAddr("10.0.0.2")
	judged(t, packetFindings([]pathState{{node: node, mtu: 1500, small: true, full: true}}), levelOK, "1500")
	judged(t, packetFindings([]pathState{{node: node, mtu: 1500, small: true}}), levelFail, "vanish")
	judged(t, packetFindings([]pathState{{node: node, mtu: 1500}}), levelUnknown, "no ping")
	judged(t, packetFindings([]pathState{{node: node, err: fs.ErrPermission}}), levelUnknown)
}

func TestPortFindings(t *testing.T) {
	s := testSettings(t, netip.MustParseAddr("10.0.0.1"), keys{
		"listen_ip": "", "internal_addrs": []string{"10.0.0.1", "10.0.0.2"}, "virtual_addr": "10.0.0.100", "port_range_start": 5900, "port_range_stop": 5999,
		"stats_port": 8003, "peers_port": 10000, "api_port": 8000, "balancer_api_port": 8002, "service_port": 443,
	})
	p := newPlan(s, netip.MustParseAddr("10.0.0.1"))
	for _, tt := range []struct {
		name string
		l    string
		udp  bool
		pid  int
		own  int
		want level
		says string
	}{
		{name: "another port", l: "0.0.0.0:22", want: levelOK},
		{name: "another address", l: "10.0.0.7:8003", want: levelOK},
		{name: "its address", l: "10.0.0.1:8003", pid: 5, want: levelFail, says: "taken by squid (process 5), which is for statistics"},
		{name: "all addresses of IPv4", l: "0.0.0.0:8003", pid: 5, want: levelFail, says: "0.0.0.0:8003"},
		{name: "all addresses", l: "[::]:8003", pid: 5, want: levelFail, says: "[::]:8003"},
		{name: "an address where it wants all", l: "127.0.0.1:8000", pid: 5, want: levelFail, says: "the API"},
		{name: "the virtual address", l: "10.0.0.100:8002", pid: 5, want: levelFail, says: "front api"},
		{name: "a port of the range", l: "10.0.0.100:5950", pid: 5, want: levelFail, says: "tunnels"},
		{name: "a port of the range, by UDP", l: "0.0.0.0:5950", udp: true, want: levelOK},
		{name: "the nodes' port, by UDP", l: "0.0.0.0:10000", udp: true, pid: 5, want: levelFail, says: "the other nodes"},
		{name: "the node itself", l: "10.0.0.1:8003", pid: 5, own: 5, want: levelOK},
		{name: "another one beside the node", l: "10.0.0.1:8003", pid: 6, own: 5, want: levelFail, says: "process 6"},
		{name: "hidden, beside a node", l: "10.0.0.1:8003", own: 5, want: levelUnknown, says: "as root"},
		{name: "hidden, without a node", l: "10.0.0.1:8003", want: levelFail, says: "cannot be seen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := listener{at: netip.MustParseAddrPort(tt.l), udp: tt.udp, owner: socketOwner{tt.pid, "squid"}}
			judged(t, portFindings(p, []listener{l}, tt.own), tt.want, tt.says)
		})
	}
	judged(t, []finding{outgoingFinding(p, 32768, 60999, "\n", nil)}, levelOK)
	judged(t, []finding{outgoingFinding(p, 1024, 6000, "", nil)}, levelWarn, "ip_local_reserved_ports=5900-5999,")
	judged(t, []finding{outgoingFinding(p, 5000, 6000, "5900-5950,5951-5999\n", nil)}, levelOK)
	judged(t, []finding{outgoingFinding(p, 0, 0, "", fs.ErrPermission)}, levelUnknown)
}

func TestReservation(t *testing.T) {
	if got, want := reservation([]int{443, 5900, 5901, 5902, 8000}), "443,5900-5902,8000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSocketsAreReadFromProc(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100000A:1F43 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1 0 100 0 0 10 0
   1: 0100000A:1F43 0200000A:8000 01 00000000:00000000 00:00000000 00000000     0        0 778 1 0 100 0 0 10 0
   2: x:y 0 0A 0 0 0 0 0 779
`
	list := parseSockets(table, false)
	if len(list) != 1 || list[0].at.String() != "10.0.0.1:8003" || list[0].inode != 777 {
		t.Errorf("got %v, want the one that listens", list)
	}
	at, ok := parseSocketAddr("B80D0120000000000000000001000000:0016")
	if !ok || at.String() != "[2001:db8::1]:22" {
		t.Errorf("IPv6: got %s, %t; want [2001:db8::1]:22", at, ok)
	}
}
