package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs every command as people type them. In a script $NODE is an
// address of its own, node.json a document for a node on it, and $API where
// that node's API is.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "tests/script",
		RequireExplicitExec: true,
		Setup:               setUpScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"original": scriptOriginal, "compact": scriptCompact, "appears": scriptAppears,
			"ready": scriptProbe("/readyz"), "alive": scriptProbe("/livez"),
			"tunnel": scriptTunnel, "occupy": scriptOccupy, "damage": scriptDamage,
		},
	})
}

func setUpScript(env *testscript.Env) error {
	own := loopback(env.WorkDir)
	env.Setenv("NODE", own.String())
	env.Setenv("API", "http://"+netip.AddrPortFrom(own, testAPIPort).String())
	env.Setenv("KEY", testAPIKey)
	env.Vars = append(env.Vars, quickRace)
	document := fmt.Sprintf(`{"internal_addrs":[%q],"listen_ip":%[1]q,"api_port":%d,"port_range_start":%d,"port_range_stop":%d,
		"api_key":%q,"cli_key":%q,"targets":{"allow":[{"cidr":"127.0.0.1/32"}],"ports":["1-65535"],"require_ticket":true}}`,
		own, testAPIPort, testFirst, testLast, testAPIKey, testCLIKey)
	return os.WriteFile(env.WorkDir+"/node.json", []byte(document), 0o600)
}

// scriptOriginal makes an original database: original DB DOCUMENT.
func scriptOriginal(ts *testscript.TestScript, _ bool, args []string) {
	db, err := sql.Open("sqlite3", "file:"+ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec("CREATE TABLE settings (data TEXT)")
	ts.Check(err)
	_, err = db.Exec("INSERT INTO settings VALUES (?)", ts.ReadFile(args[1]))
	ts.Check(err)
}

// scriptCompact removes the blanks of a JSON file: compact FROM TO.
func scriptCompact(ts *testscript.TestScript, _ bool, args []string) {
	var text bytes.Buffer
	ts.Check(json.Compact(&text, []byte(ts.ReadFile(args[0]))))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), append(bytes.TrimSpace(text.Bytes()), '\n'), 0o600))
}

// scriptProbe waits until the node on $NODE answers with 200.
func scriptProbe(path string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, _ []string) {
		n := &child{addr: netip.MustParseAddr(ts.Getenv("NODE"))}
		if !holds(func() bool {
			r, err := n.try(call{path: path})
			return err == nil && r.status == 200
		}) {
			ts.Fatalf("the node on %s does not answer %s with 200", n.addr, path)
		}
	}
}

// scriptAppears waits for a file: appears FILE.
func scriptAppears(ts *testscript.TestScript, _ bool, args []string) {
	if !holds(func() bool {
		_, err := os.Stat(ts.MkAbs(args[0]))
		return err == nil
	}) {
		ts.Fatalf("%s does not appear", args[0])
	}
}

// scriptTunnel opens a tunnel for a user with a ticket and puts its id into an
// environment variable: tunnel USER VARIABLE.
func scriptTunnel(ts *testscript.TestScript, _ bool, args []string) {
	n := &child{addr: netip.MustParseAddr(ts.Getenv("NODE"))}
	made, err := n.try(call{path: "/v3/tickets/", body: keys{"vm_address": "127.0.0.1", "vm_port": 5900, "user": args[0]}})
	ts.Check(err)
	var ticket struct{ Ticket string }
	ts.Check(json.Unmarshal(made.body, &ticket))
	opened, err := n.try(call{path: "/v3/open_connection/", key: testCLIKey, body: keys{"ticket": ticket.Ticket, "probe": false}})
	ts.Check(err)
	var t tunnel
	ts.Check(json.Unmarshal(opened.body, &t))
	if t.ID == "" {
		ts.Fatalf("no tunnel: %s", opened.body)
	}
	ts.Setenv(args[1], t.ID)
}

// scriptOccupy takes an address until the script ends; if it is taken already
// that is as well: occupy ADDRESS.
func scriptOccupy(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", args[0])
	if err != nil && !strings.Contains(err.Error(), "address already in use") {
		ts.Fatalf("%v", err)
	}
	if err == nil {
		ts.Defer(func() { _ = l.Close() })
	}
}

// scriptDamage writes over a file from its second sector on: damage FILE.
func scriptDamage(ts *testscript.TestScript, _ bool, args []string) {
	text := []byte(ts.ReadFile(args[0]))
	for i := 512; i < len(text); i++ {
		text[i] = byte(i)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o600))
}
