package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"vdi-gateway/tests/lab"
)

const (
	openPath  = "/v3/open_connection/"
	closePath = "/v3/close_connection/"
	wireTime  = 10 * time.Second // for one request, usually
)

// tunnel is what a client needs of the answer to open_connection.
type tunnel struct {
	ID    string `json:"connection_id"`
	Token string `json:"token"`
	Port  uint16 `json:"port"`
}

func (t tunnel) closeBody() []byte {
	return fmt.Appendf(nil, `{"connection_id":%q,"token":%q}`, t.ID, t.Token)
}

// openBody asks for a tunnel without a probe of the VM.
func openBody(vm netip.Addr) []byte { return openBodyTo(netip.AddrPortFrom(vm, echoPort)) }

func openBodyTo(vm netip.AddrPort) []byte {
	body, _ := json.Marshal(map[string]any{"vm_address": vm.Addr().String(), "vm_port": vm.Port(), "probe": false}) // always possible
	return body
}

// wire is a client with a connection that it keeps. It costs less than
// http.Client, since it shares the processors with what it measures.
type wire struct {
	conn   *net.TCPConn
	reader *bufio.Reader
	limit  time.Duration // for one request
	head   string
	out    []byte
}

func dialWire(host *lab.Host, s server, from netip.Addr) (*wire, error) {
	c, err := host.Dial(from, s.addr, wireTime)
	if err != nil {
		return nil, err
	}
	return newWire(c, s, wireTime), nil
}

// newWire is a client on a connection to a server.
func newWire(c *net.TCPConn, s server, limit time.Duration) *wire {
	head := fmt.Sprintf(" HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: ", s.addr, s.key)
	return &wire{conn: c, reader: bufio.NewReader(c), limit: limit, head: head}
}

func (w *wire) close() { _ = w.conn.Close() }

// post sends one request and reads its answer.
func (w *wire) post(path string, body []byte) (status int, answer []byte, err error) {
	_ = w.conn.SetDeadline(time.Now().Add(w.limit)) // fails when closed, and so does the rest
	w.out = fmt.Appendf(w.out[:0], "POST %s%s%d\r\n\r\n%s", path, w.head, len(body), body)
	if _, err := w.conn.Write(w.out); err != nil {
		return 0, nil, err
	}
	resp, err := http.ReadResponse(w.reader, nil)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}
