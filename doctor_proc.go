package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// processOf reads what the kernel grants a process; 0 is this one.
func processOf(pid int) process {
	p := process{pid: pid}
	folder := "/proc/self"
	if pid != 0 {
		folder = filepath.Join("/proc", strconv.Itoa(pid))
	}
	status, err := os.ReadFile(filepath.Join(folder, "status"))
	if err != nil {
		p.err = err
		return p
	}
	limits, err := os.ReadFile(filepath.Join(folder, "limits"))
	if err != nil {
		p.err = err
		return p
	}
	p.read(string(status), string(limits))
	p.freePort = 1024
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err == nil {
		p.freePort, _ = strconv.Atoi(strings.TrimSpace(string(text))) // the kernel writes a number
	}
	return p
}

// read takes what counts from the texts of /proc.
func (p *process) read(status, limits string) {
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		f := strings.Fields(value)
		if len(f) == 0 {
			continue
		}
		switch key {
		case "CapEff":
			p.caps, p.err = strconv.ParseUint(f[0], 16, 64)
		case "VmSwap":
			if n, err := strconv.ParseUint(f[0], 10, 64); err == nil {
				p.swapped = n << 10 // kB
			}
		}
	}
	for line := range strings.Lines(limits) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			p.files = hardLimit(rest)
		}
	}
}

// hardLimit is the second figure of a line: Go raises the soft limit of descriptors to it.
func hardLimit(line string) uint64 {
	f := strings.Fields(line)
	if len(f) < 2 {
		return 0
	}
	n, err := strconv.ParseUint(f[1], 10, 64)
	if err != nil {
		return math.MaxUint64 // "unlimited"
	}
	return n
}

// listeners are all sockets of this host that listen; owners are known of those in wanted.
func listeners(wanted func(listener) bool) ([]listener, error) {
	var all []listener
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		text, err := os.ReadFile("/proc/self/net/" + table)
		if os.IsNotExist(err) {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("sockets of this host: %w", err)
		}
		all = append(all, parseSockets(string(text), strings.HasPrefix(table, "udp"))...)
	}
	all = slices.DeleteFunc(all, func(l listener) bool { return !wanted(l) })
	if len(all) == 0 {
		return nil, nil
	}
	owners := socketOwners(all)
	for i := range all {
		all[i].owner = owners[all[i].inode]
	}
	return all, nil
}

// socketOwners looks for the processes that have some sockets. Those of others are
// hidden from who is not root.
func socketOwners(list []listener) map[uint64]socketOwner {
	inodes := map[string]uint64{}
	for _, l := range list {
		inodes[fmt.Sprintf("socket:[%d]", l.inode)] = l.inode
	}
	found := map[uint64]socketOwner{}
	folders, _ := filepath.Glob("/proc/[0-9]*/fd") // the pattern is well-formed
	for _, folder := range folders {
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue // it has ended, or is another user's
		}
		for _, e := range entries {
			target, _ := os.Readlink(filepath.Join(folder, e.Name())) // it may be closed by now
			if inode, ok := inodes[target]; ok {
				found[inode] = ownerOf(filepath.Dir(folder))
			}
		}
	}
	return found
}

func ownerOf(folder string) socketOwner {
	pid, _ := strconv.Atoi(filepath.Base(folder))         // digits, as the pattern has it
	name, _ := os.ReadFile(filepath.Join(folder, "comm")) // it may have ended
	return socketOwner{pid, strings.TrimSpace(string(name))}
}

func (p patient) ports() []finding {
	list, err := listeners(func(l listener) bool { return p.plan.use(l) != "" })
	if err != nil {
		return []finding{unknown("ports", asRoot, "%v", err)}
	}
	all := portFindings(p.plan, list, p.pid)
	var first, last int
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		_, err = fmt.Sscan(string(text), &first, &last)
	}
	reserved, unread := os.ReadFile("/proc/sys/net/ipv4/ip_local_reserved_ports")
	if err == nil {
		err = unread
	}
	return append(all, outgoingFinding(p.plan, first, last, string(reserved), err))
}
