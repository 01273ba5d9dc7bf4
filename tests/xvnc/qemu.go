package xvnc

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"testing"
	"time"
)

// monitor is QEMU's QMP on its standard input and output.
type monitor struct {
	t   testing.TB
	in  io.Writer
	out *bufio.Scanner
}

// do executes a command and returns what it returned.
func (m monitor) do(command string, arguments map[string]any) json.RawMessage {
	m.t.Helper()
	text, err := json.Marshal(map[string]any{"execute": command, "arguments": arguments})
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(m.in, "%s\n", text); err != nil {
		m.t.Fatal(err)
	}
	for m.out.Scan() {
		var answer struct{ Return, Error json.RawMessage }
		if err := json.Unmarshal(m.out.Bytes(), &answer); err != nil {
			m.t.Fatal(err)
		}
		if answer.Return != nil {
			return answer.Return
		}
		if answer.Error != nil {
			m.t.Fatalf("QEMU: %s: %s", command, answer.Error)
		}
	}
	m.t.Fatalf("QEMU ended before it did %s: %v", command, m.out.Err())
	return nil
}

// QEMUName is what a machine of StartQEMU calls its desktop.
const QEMUName = "QEMU (a machine)"

// StartQEMU runs a machine without a processor that serves VNC at the address as the
// options say, and returns where. It shows what QEMU shows before there is a picture.
// Password "" is none.
func StartQEMU(t testing.TB, on Place, at netip.Addr, password, vnc string, args ...string) netip.AddrPort {
	t.Helper()
	cmd := exec.Command(Need(t, "qemu-system-x86_64"), append([]string{ //nolint:gosec,noctx // it ends with the test
		"-machine", "none", "-nodefaults", "-S", "-display", "none", "-name", "a machine",
		"-qmp", "stdio", "-vnc", at.String() + ":150,to=400" + vnc,
	}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	// Not StdoutPipe, which the end of the program closes under the reader.
	out, say := io.Pipe()
	cmd.Stdout = say
	p := Start(t, on, cmd)
	silent := time.AfterFunc(patience, func() { _ = out.CloseWithError(io.ErrUnexpectedEOF) })
	defer silent.Stop()
	go func() { <-p.ended; _ = say.Close() }()
	m := monitor{t, in, bufio.NewScanner(out)}
	m.do("qmp_capabilities", map[string]any{})
	if password != "" {
		m.do("set_password", map[string]any{"protocol": "vnc", "password": password})
	}
	var server struct{ Host, Service string }
	if err := json.Unmarshal(m.do("query-vnc", map[string]any{}), &server); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // what it tells later
	addr, err := netip.ParseAddrPort(server.Host + ":" + server.Service)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}
