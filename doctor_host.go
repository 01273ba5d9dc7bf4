package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vdi-gateway/api/certificate"
	"vdi-gateway/gateway/kernel"
	"vdi-gateway/settingsdb"
)

// What the disk of the database should have: the audit grows by some hundred bytes a
// session, and nothing can be changed on a full one.
const (
	spaceLow  = 1 << 30
	spaceNone = 64 << 20
	filesLow  = 1000
)

// disk is the file system of the database.
type disk struct {
	folder      string
	free, files uint64 // files is 0 where they are not counted
	counts      bool
	readOnly    bool
	err         error
}

func diskFinding(d disk) finding {
	const name = "disk"
	do := "make room; a full disk keeps settings from being changed and sessions from being written down"
	switch {
	case errors.Is(d.err, fs.ErrNotExist):
		return failed(name, "make the folder, for the user that the service runs as", "there is no folder %s", d.folder)
	case d.err != nil:
		return unknown(name, asRoot, "%s: %v", d.folder, d.err)
	case d.readOnly:
		return failed(name, "mount it for writing", "%s is on a file system that is read-only", d.folder)
	case d.free < spaceNone:
		return failed(name, do, "%s has %s left", d.folder, bytesText(d.free))
	case d.counts && d.files < filesLow:
		return failed(name, "remove files: the file system can have no more, however large they are", "%s has room for %d files", d.folder, d.files)
	case d.free < spaceLow:
		return warned(name, do, "%s has %s left", d.folder, bytesText(d.free))
	}
	return fine(name, "%s has %s left", d.folder, bytesText(d.free))
}

func bytesText(n uint64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

func databaseFinding(path string, e settingsdb.Examination, err error) finding {
	const name = "database"
	switch {
	case errors.Is(err, settingsdb.ErrNotExist):
		return fine(name, "there is no %s yet: a node makes it at its first start, with keys of its own; what follows is about such a node", path)
	case errors.Is(err, settingsdb.ErrReadOnly), errors.Is(err, fs.ErrPermission):
		return unknown(name, "run vdi-gateway doctor as root, or as the user of the service", "%s cannot be read: %v", path, err)
	case errors.Is(err, settingsdb.ErrBusy):
		return unknown(name, "close the other program and look again", "%v", err)
	case errors.Is(err, settingsdb.ErrNewer):
		return failed(name, "install the version that wrote it, or a later one", "%v", err)
	case err != nil:
		return failed(name, "restore it from a backup, or name another one with --db", "%v", err)
	case e.Damage != "":
		return failed(name, "stop the node and restore the file from a backup: what is damaged is not part of the settings, so that it serves until then", "revision %d can be read, but the file is damaged: %s", e.Revision.Number, e.Damage)
	case e.Original:
		return warned(name, "start the node, which converts it and keeps a copy beside it", "%s is a database of the original", path)
	case e.Revision.Edited:
		return warned(name, "make the change with vdi-gateway settings set", "the row of table settings was written by hand, which counts for nothing: revision %d is in force", e.Revision.Number)
	}
	return fine(name, "%s is whole, revision %d of the settings is in force", path, e.Revision.Number)
}

func setupFinding(node netip.Addr, err error) finding {
	if err != nil {
		return failed("node", "correct internal_addrs, or say --node here and with vdi-gateway run", "%v", err)
	}
	return fine("node", "this host is node %s", node)
}

// process is what the kernel grants a process: the node's, or this one.
type process struct {
	pid      int // of the node; 0: it is this process
	caps     uint64
	files    uint64 // descriptors; math.MaxUint64: any number
	swapped  uint64 // bytes of it that are on disk
	freePort int    // ports from here on need no capability
	err      error
}

// needs is what a plan asks of the process.
type needs struct {
	address bool // moves an address or carries flows
	lowPort int  // the lowest port; 0: none
	ports   int  // of the range
	tunnels int  // at most; 0: any number
}

// capabilityFinding: without a node there is only what this command has, which is
// somebody else.
func capabilityFinding(p process, n needs) finding {
	const name = "capabilities"
	var missing []string
	for _, c := range []struct {
		bit    int
		needed bool
		name   string
	}{
		{unix.CAP_NET_ADMIN, n.address, "CAP_NET_ADMIN"},
		{unix.CAP_NET_RAW, n.address, "CAP_NET_RAW"},
		{unix.CAP_NET_BIND_SERVICE, n.lowPort > 0 && n.lowPort < p.freePort, "CAP_NET_BIND_SERVICE"},
	} {
		if c.needed && p.caps>>c.bit&1 == 0 {
			missing = append(missing, c.name)
		}
	}
	list := strings.Join(missing, ", ")
	switch {
	case p.err != nil:
		return unknown(name, asRoot, "process %d cannot be looked at: %v", p.pid, p.err)
	case len(missing) > 0 && p.pid == 0:
		return unknown(name, "start the node and look again, or run this as root; the unit grants them by AmbientCapabilities=", "no node runs, and this command has not got %s, which one needs", list)
	case len(missing) > 0:
		return failed(name, "grant them: AmbientCapabilities= and CapabilityBoundingSet= in the systemd unit, or setcap on the binary; then restart the node", "process %d has not got %s", p.pid, list)
	case p.pid == 0:
		return fine(name, "no node runs; one that may what this command may has what it needs")
	}
	return fine(name, "process %d has what it needs", p.pid)
}

// descriptorFinding: two a tunnel, a listening socket for each port of the range on two
// addresses, and some for the rest.
func descriptorFinding(p process, n needs) finding {
	const name, rest, few = "descriptors", 500, 1000
	if p.err != nil {
		return unknown(name, asRoot, "process %d cannot be looked at: %v", p.pid, p.err)
	}
	fixed := uint64(rest + 2*n.ports) //nolint:gosec // some thousands
	room := uint64(0)
	if p.files > fixed {
		room = (p.files - fixed) / 2
	}
	wanted := uint64(n.tunnels) //nolint:gosec // settings keep it small
	if n.tunnels == 0 {
		wanted = few // any number is allowed, some should be possible
	}
	switch {
	case p.pid == 0:
		return fine(name, "no node runs; for %d tunnels its service needs LimitNOFILE=%d or more", wanted, fixed+2*wanted)
	case room < wanted:
		return warned(name, fmt.Sprintf("LimitNOFILE=%d in the systemd unit, or lower limits.max_connections", fixed+2*wanted),
			"process %d may have %d descriptors, enough for %d tunnels and not for %d", p.pid, p.files, room, wanted)
	}
	return fine(name, "process %d may have %s, enough for %d tunnels", p.pid, countText(p.files), wanted)
}

func countText(n uint64) string {
	if n > 1<<62 {
		return "any number"
	}
	return fmt.Sprint(n)
}

// memoryFinding: nothing is locked, so the limit does no harm, but what is swapped out
// makes adverts late.
func memoryFinding(p process) finding {
	const name = "memlock"
	switch {
	case p.err != nil:
		return unknown(name, asRoot, "process %d cannot be looked at: %v", p.pid, p.err)
	case p.pid == 0:
		return fine(name, "a node locks no memory, no limit has to be raised")
	case p.swapped > 0:
		return warned(name, "give the machine more memory, or MemorySwapMax=0 in the systemd unit: a node that waits for its disk is late with its adverts", "%s of process %d are swapped out", bytesText(p.swapped), p.pid)
	}
	return fine(name, "nothing of process %d is swapped out; it locks no memory, no limit has to be raised", p.pid)
}

func kernelFindings(e kernel.Examination, running bool) []finding {
	const name = "forwarding"
	var list []finding
	if e.Unseen != nil {
		list = append(list, unknown(name, asRoot, "%v", e.Unseen))
	}
	for _, l := range e.Lacks {
		list = append(list, failed(name, `load what is missing, or set forwarding to "proxy"; until then tunnels are relayed`, "%s", l))
	}
	for _, w := range e.Warnings {
		list = append(list, warned(name, "see docs/forwarding.md", "%s", w))
	}
	switch unset := strings.Join(e.Unset, "; "); {
	case unset == "":
		list = append(list, fine("sysctls", "they are as forwarding by the kernel needs them"))
	case running:
		list = append(list, failed("sysctls", "set them in a file of /etc/sysctl.d, or give the service a writable /proc/sys; then look what sets them back", "%s", unset))
	default:
		list = append(list, fine("sysctls", "%s: the node sets them when it starts, if it may", unset))
	}
	return list
}

func certificateFinding(s settingsdb.Settings, p *certificate.Pair, err error, now time.Time) finding {
	const name = "certificate"
	do := "renew it with its authority; the node takes the new files within seconds (docs/tls.md)"
	switch {
	case !s.SSL:
		return fine(name, "ssl is false: there is none to look at")
	case errors.Is(err, fs.ErrPermission):
		return unknown(name, asRoot, "%v", err)
	case err != nil:
		return failed(name, "see vdi-gateway cert show", "%v", err)
	case p.SelfSigned:
		do = "vdi-gateway cert renew"
	}
	c := certificateChecks(certificate.Status{Pair: p}, s.TLS, now)[0] // a pair has one
	switch {
	case p.Validity(now) != nil:
		return failed(name, do, "%s", c.Detail)
	case !c.OK:
		return warned(name, do, "%s", c.Detail)
	}
	return fine(name, "%s", c.Detail)
}

func (p patient) certificate() []finding {
	var pair *certificate.Pair
	var err error
	if p.s.SSL {
		pair, err = certificate.Find(p.plan.certificate, certificateDeps(p.db))
		if !p.running() && errors.Is(err, fs.ErrNotExist) && certificateDeps(p.db).File(p.plan.certificate) == "" {
			return []finding{fine("certificate", "a self-signed one is made when the node starts")}
		}
	}
	return []finding{certificateFinding(p.s, pair, err, time.Now())}
}

func (p patient) kernel() []finding {
	if !p.plan.kernel.Enabled {
		return []finding{fine("sysctls", `forwarding is "%s": none is needed`, p.s.Forwarding)}
	}
	return kernelFindings(kernel.Examine(p.plan.kernel.Rules), p.running())
}

// needs is what the plan of a node asks of its process.
func (p patient) needs() needs {
	n := needs{
		address: len(p.plan.vrrp.Addrs) > 0 || p.plan.kernel.Enabled,
		ports:   p.s.PortRangeStop - p.s.PortRangeStart + 1, tunnels: p.s.Limits.MaxConnections,
	}
	for _, l := range p.plan.everywhere() {
		if n.lowPort == 0 || int(l.addr.Port()) < n.lowPort {
			n.lowPort = int(l.addr.Port())
		}
	}
	return n
}

func (p patient) process() []finding {
	state, n := processOf(p.pid), p.needs()
	return []finding{capabilityFinding(state, n), descriptorFinding(state, n), memoryFinding(state)}
}

// diskOf looks at the file system of a database.
func diskOf(path string) disk {
	d := disk{folder: filepath.Dir(path)}
	var s unix.Statfs_t
	if d.err = unix.Statfs(d.folder, &s); d.err != nil {
		return d
	}
	d.free, d.files, d.counts = s.Bavail*uint64(s.Bsize), s.Ffree, s.Files > 0 //nolint:gosec,unconvert // of a block, never negative
	d.readOnly = s.Flags&unix.ST_RDONLY != 0
	return d
}
