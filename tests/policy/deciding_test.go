package policy

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// deciding are the files that decide across nodes: functions of state, input and time,
// which simulations run by a clock and a network of their own. A folder stands for all
// of its files.
var deciding = []string{
	"balancer/directory/state.go", "balancer/directory/entry.go", "balancer/directory/vector.go", "balancer/place.go",
	"gateway/kernel/life.go", "gateway/kernel/record.go",
	"settingsdb/agreement/change.go",
	"settingsdb/agreement/member.go", "vrrp/config.go", "vrrp/guard.go", "vrrp/machine.go", "vrrp/machine_expire.go", "vrrp/machine_heard.go",
	"vrrp/packet.go",
}

// outside is what they must not reach for, by package.
var outside = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker"},
	"net":  {"Listen", "ListenPacket", "ListenUDP", "ListenTCP", "Dial", "DialTimeout", "DialUDP", "DialTCP"},
}

func TestDecidingFilesReachForNothing(t *testing.T) {
	for _, s := range sources(t) {
		report(t, decidingFindings(s))
	}
}

func TestDecidingFindings(t *testing.T) {
	for _, tt := range []struct {
		name, path, text string
		want             int
	}{
		{"a clock", "vrrp/machine.go", "package vrrp\nimport \"time\"\nvar f = time.Now", 1},
		{"a socket", "vrrp/packet.go", "package vrrp\nimport \"net\"\nvar f = net.Dial", 1},
		{"a duration", "vrrp/machine.go", "package vrrp\nimport \"time\"\nconst d = time.Second", 0},
		{"where one acts", "vrrp/loop.go", "package vrrp\nimport \"time\"\nvar f = time.Now", 0},
		{"in a test", "vrrp/machine_test.go", "package vrrp\nimport \"time\"\nvar f = time.Now", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := decidingFindings(planted(t, tt.path, tt.text)); len(got) != tt.want {
				t.Errorf("got %q, want %d findings", got, tt.want)
			}
		})
	}
}

func decidingFindings(s source) []string {
	if s.test || !slices.ContainsFunc(deciding, func(d string) bool { return below(s.path, d) }) {
		return nil
	}
	var findings []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		for path, names := range outside {
			if ok && importedAs(s, x.Name, path) && slices.Contains(names, sel.Sel.Name) {
				findings = append(findings, fmt.Sprintf("%s: %s.%s in a file that decides: take the time as an argument, and leave the network to who acts", s.at(n), strings.ToLower(path), sel.Sel.Name))
			}
		}
		return true
	})
	return findings
}
