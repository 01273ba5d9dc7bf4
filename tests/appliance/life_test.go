//go:build e2e

package appliance

import (
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vdi-gateway/tests/lab"
)

const (
	own     = "10.99.0.21"
	virtual = "10.99.0.100"
)

// installed is a machine with the node of a package.
func installed(t *testing.T) (m *machine, packages string) {
	t.Helper()
	deb := build(t, root, "0.1.0")
	packages = filepath.Dir(deb)
	network := lab.New(t)
	m = boot(t, network.Host("node", own+"/24"), packages)
	m.does("dpkg", "--install", "/packages/"+filepath.Base(deb))
	return m, packages
}

// wants gives the stopped service settings.
func (m *machine) wants(document string) {
	m.t.Helper()
	m.does("systemctl", "stop", "vdi-gateway")
	m.sh("echo '" + document + "' | vdi-gateway settings set -")
	m.does("systemctl", "start", "vdi-gateway")
}

// serves waits for a node that is active and holds the virtual address.
func (m *machine) serves() {
	m.t.Helper()
	a := netip.MustParseAddr(virtual)
	m.eventually("node with the virtual address", func() bool {
		return m.property("ActiveState") == "active" && m.holds(a) && strings.HasPrefix(m.property("StatusText"), "active since ")
	})
}

// TestAnInstallationFromItsBeginningToItsEnd goes by the life of one, since every step
// needs those before.
func TestAnInstallationFromItsBeginningToItsEnd(t *testing.T) {
	m, _ := installed(t)
	step := func(name string, do func(t *testing.T, m *machine)) {
		if !t.Failed() {
			t.Log(name)
			do(t, m)
		}
	}
	step("it runs, enabled, confined and without root", installs)
	step("it holds the virtual address, and gives it up when it is stopped", stops)
	step("it comes back when it is killed, and the address does not wait for that", killed)
	step("the kernel's table goes with a stop, and outlives a crash", steers)
	step("it comes back when it hangs", hangs)
	step("an upgrade goes on with the new version, and with the database", upgraded)
	step("it goes, and comes back with all it had", removed)
	step("a purge leaves nothing", purged)
}

func installs(t *testing.T, m *machine) {
	t.Helper()
	if got := m.property("ActiveState") + " " + m.does("systemctl", "is-enabled", "vdi-gateway"); got != "active enabled\n" {
		t.Errorf("got the service %q, want it active and enabled\n%s", got, m.journal())
	}
	if got := m.property("StatusText"); got != "0 sessions" {
		t.Errorf("got the status %q, want that of a node alone", got)
	}
	pid := m.property("MainPID")
	status := m.does("cat", "/proc/"+pid+"/status")
	for _, want := range []string{"CapEff:\t0000000000003400", "CapBnd:\t0000000000003400", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(status, want) {
			t.Errorf("got %s, want %q in it", status, want)
		}
	}
	if got := strings.TrimSpace(m.does("stat", "--format=%U %a", "/proc/"+pid, "/var/lib/vdi-gateway/settings.db")); got != "vdi-gateway 555\nvdi-gateway 600" {
		t.Errorf("got %q, want process and database of a user of their own", got)
	}
	if out := m.does("vdi-gateway", "status"); !shows(out, "check tunnel ok") {
		t.Errorf("got %s, want a node that carries sessions", out)
	}
	if out := m.does("man", "--pager=cat", "vdi-gateway"); !strings.Contains(out, "settings get") {
		t.Errorf("got %s, want the manual page", out)
	}
}

// shows tells whether a table has a line that begins so.
func shows(table, words string) bool {
	for line := range strings.Lines(table) {
		if strings.HasPrefix(strings.Join(strings.Fields(line), " ")+" ", words+" ") {
			return true
		}
	}
	return false
}

func stops(t *testing.T, m *machine) {
	t.Helper()
	m.wants(`{"virtual_addr":"` + virtual + `","public_addr":"` + virtual + `"}`)
	m.serves()
	m.does("systemctl", "stop", "vdi-gateway")
	if m.holds(netip.MustParseAddr(virtual)) {
		t.Error("got the virtual address on a stopped node, want it gone")
	}
	if got := m.property("Result"); got != "success" {
		t.Errorf("got the result %q, want success", got)
	}
	if left := m.sh("pgrep --exact vdi-gateway || true"); left != "" {
		t.Errorf("got processes %q left behind, want none", left)
	}
	m.does("systemctl", "start", "vdi-gateway")
	m.serves()
}

func killed(t *testing.T, m *machine) {
	t.Helper()
	first := m.property("MainPID")
	m.does("kill", "-KILL", first)
	m.eventually("another process", func() bool { p := m.property("MainPID"); return p != first && p != "0" })
	m.serves()
	if got := m.property("NRestarts"); got != "1" {
		t.Errorf("got %s starts by systemd, want one", got)
	}
	// The guard has done it, before release looked.
	if m.reads("removed " + virtual) {
		t.Errorf("got the address removed by release, want the guard to have done so before\n%s", m.journal())
	}
}

func steers(t *testing.T, m *machine) {
	t.Helper()
	table := func() bool {
		out, err := m.host.Run(t.Context(), exec.Command("nft", "list", "tables"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(out, "vdi-gateway")
	}
	m.wants(`{"forwarding":"kernel"}`)
	m.serves()
	if !table() {
		t.Errorf("got no table of the kernel, want the service to be allowed to make one\n%s", m.journal())
	}
	m.does("kill", "-KILL", m.property("MainPID"))
	m.eventually("end of the process", func() bool { return m.property("ActiveState") != "active" })
	if !table() {
		t.Error("got the kernel's table removed after a crash, want it left for the sessions that live by it")
	}
	m.serves()
	m.does("systemctl", "stop", "vdi-gateway")
	if table() {
		t.Error("got the kernel's table after a stop, want it gone")
	}
	m.wants(`{"forwarding":"proxy"}`)
	m.serves()
}

func hangs(t *testing.T, m *machine) {
	t.Helper()
	m.sh(`mkdir -p /run/systemd/system/vdi-gateway.service.d
printf '[Service]\nWatchdogSec=4s\nTimeoutAbortSec=1s\n' >/run/systemd/system/vdi-gateway.service.d/quick.conf
systemctl daemon-reload
systemctl restart vdi-gateway`)
	m.serves()
	first := m.property("MainPID")
	m.does("kill", "-STOP", first)
	m.eventually("end of the address", func() bool { return !m.holds(netip.MustParseAddr(virtual)) })
	m.eventually("watchdog in the journal", func() bool { return m.reads("Watchdog timeout") })
	m.eventually("another process", func() bool { p := m.property("MainPID"); return p != first && p != "0" })
	m.serves()
	m.sh("rm -r /run/systemd/system/vdi-gateway.service.d; systemctl daemon-reload; systemctl restart vdi-gateway")
	m.serves()
}

func upgraded(t *testing.T, m *machine) {
	t.Helper()
	keys := m.does("vdi-gateway", "settings", "get", "api_key")
	newer := build(t, root, "0.2.0")
	m.copyIn(newer, "/run/newer.deb")
	m.does("dpkg", "--install", "/run/newer.deb")
	m.serves()
	if out := m.does("vdi-gateway", "status"); !shows(out, "version 0.2.0") {
		t.Errorf("got %s, want the new version to run", out)
	}
	if got := m.does("vdi-gateway", "settings", "get", "api_key"); got != keys {
		t.Error("got other keys after the upgrade, want those there were")
	}
	m.does("systemctl", "stop", "vdi-gateway")
	m.does("dpkg", "--install", "/run/newer.deb")
	if got := m.property("ActiveState"); got != "inactive" {
		t.Errorf("got a stopped service %s after an upgrade, want it left alone", got)
	}
	m.does("systemctl", "start", "vdi-gateway")
	m.serves()
}

func removed(t *testing.T, m *machine) {
	t.Helper()
	keys := m.does("vdi-gateway", "settings", "get", "api_key")
	m.does("dpkg", "--remove", "vdi-gateway")
	if m.holds(netip.MustParseAddr(virtual)) {
		t.Error("got the virtual address after the removal, want it gone")
	}
	m.does("dpkg", "--install", "/run/newer.deb")
	m.serves()
	if got := m.does("vdi-gateway", "settings", "get", "api_key"); got != keys {
		t.Error("got other keys after a removal, want those there were")
	}
}

func purged(t *testing.T, m *machine) {
	t.Helper()
	m.does("dpkg", "--purge", "vdi-gateway")
	left := m.sh(`find / -xdev -name '*vdi-gateway*' ! -path '/proc/*' ! -path '/sys/*' ! -path '/var/log/*' ! -path '/var/cache/man/*' ! -path '/run/newer.deb'
getent passwd vdi-gateway || true
getent group vdi-gateway || true
ls -A /opt
systemctl list-unit-files --no-legend 'vdi-gateway*' || true`)
	if left != "" {
		t.Errorf("got %q left behind, want nothing", left)
	}
	if m.holds(netip.MustParseAddr(virtual)) {
		t.Error("got the virtual address after the purge, want it gone")
	}
}

// A node that lacks its address is not ready, is not ended for that either, and serves as
// soon as the address is there.
func TestAnInstallationThatCannotServeYet(t *testing.T) {
	m, _ := installed(t)
	const late = "10.99.0.77"
	m.does("systemctl", "stop", "vdi-gateway")
	m.sh(`echo '{"internal_addrs":["` + late + `"]}' | vdi-gateway settings set -
mkdir -p /run/systemd/system/vdi-gateway.service.d
printf '[Service]\nTimeoutStartSec=3s\n' >/run/systemd/system/vdi-gateway.service.d/quick.conf
systemctl daemon-reload
systemctl start --no-block vdi-gateway`)
	m.eventually("what is missing", func() bool {
		return strings.HasPrefix(m.property("StatusText"), "not serving: setup: no address of internal_addrs")
	})
	first := m.property("MainPID")
	time.Sleep(5 * time.Second) // that nothing ends it cannot be waited for otherwise
	if got := m.property("ActiveState") + " " + m.property("MainPID"); got != "activating "+first {
		t.Errorf("got the service %q, want it activating, as the process %s that it was\n%s", got, first, m.journal())
	}
	m.does("ip", "address", "add", late+"/24", "dev", "eth0")
	m.eventually("node that serves", func() bool { return m.property("ActiveState") == "active" })
	if got := m.property("MainPID"); got != first {
		t.Errorf("got the process %s, want %s all the time", got, first)
	}
}

// An original's database stays where it is and is served from there; a purge takes what is
// ours and leaves the copy of it.
func TestAnInstallationOverTheOriginals(t *testing.T) {
	deb := build(t, root, "0.1.0")
	m := boot(t, lab.New(t).Host("node", own+"/24"), filepath.Dir(deb))
	database := filepath.Join(t.TempDir(), "settings.db")
	command(t, "sqlite3", database, "CREATE TABLE settings (data TEXT)", `INSERT INTO settings VALUES ('{"is_enabled":true,"internal_addrs":["`+own+
		`"],"ssl":false,"disp_addrs":["10.99.0.32"],"disp_port":4200,"public_addr":"`+virtual+`","virtual_addr":"`+virtual+
		`","api_port":8000,"balancer_api_port":8002,"port_range_start":5900,"port_range_stop":5999,"api_key":"0123456789abcdef0123","cli_key":"fedcba98765432109876"}')`)
	const app = "/opt/vdi-gateway/app"
	m.sh("mkdir -p " + app + "; echo original >" + app + "/main.py")
	m.copyIn(database, app+"/settings.db")
	m.does("dpkg", "--install", "/packages/"+filepath.Base(deb))
	m.serves()
	if got := m.does("vdi-gateway", "settings", "get", "disp_addrs"); !strings.Contains(got, "10.99.0.32") {
		t.Errorf("got the dispatchers %s, want the original's", got)
	}
	if got := m.sh("ls /var/lib/vdi-gateway"); got != "" {
		t.Errorf("got %q in the folder of state, want all beside the original's database", got)
	}
	m.does("dpkg", "--purge", "vdi-gateway")
	if got := m.sh("ls -A " + app); got != "main.py\nsettings.db.original\n" {
		t.Errorf("got %q left, want what is the original's", got)
	}
}
