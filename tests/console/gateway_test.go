package console

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"vdi-gateway/api/console"
)

// gateway keeps the contract of the page for one desktop.
type gateway struct {
	*httptest.Server
	vm string // host:port of the desktop

	mu       sync.Mutex
	answer   session              // to a ticket
	tickets  map[string]bool      // true: fresh
	resumes  map[string]bool      // likewise
	cookies  map[string]bool      // likewise, of a session
	refusals map[string][]refusal // by path, the next ones; the last stays
	carriers map[*carrier]bool
	attached int
	asked    []string      // paths of the page's requests
	paused   chan struct{} // while not nil, nothing but the handshake comes from the desktop
	lacking  string        // files that end so are not there
	spy      spy
}

// cookieName comes before the session.
const cookieName = "vdi-console-"

// session is the answer to a ticket.
type session struct {
	Desktop  string `json:"desktop"`
	User     string `json:"user"`
	ViewOnly bool   `json:"view_only"`
	Shared   bool   `json:"shared"`
	Resume   string `json:"resume"`
	Session  string `json:"session"`
}

// refusal is an error as the API tells it; status 0 is none.
type refusal struct {
	status int
	code   string
}

// carrier is one attached WebSocket and the TCP connection under it.
type carrier struct {
	ws   *websocket.Conn
	tcp  *net.TCPConn
	vm   net.Conn
	mute atomic.Bool
}

type connKey struct{}

func newGateway(t *testing.T, vm string) *gateway {
	t.Helper()
	g := unstarted(vm)
	g.Start()
	t.Cleanup(func() { g.cut(); g.Close() })
	return g
}

// newTLSGateway is one with a certificate that nobody knows.
func newTLSGateway(t *testing.T, vm string) *gateway {
	t.Helper()
	g := unstarted(vm)
	g.StartTLS()
	t.Cleanup(func() { g.cut(); g.Close() })
	return g
}

func unstarted(vm string) *gateway {
	g := &gateway{
		vm: vm, answer: session{Desktop: "Sample desktop", User: "alice", Shared: true},
		tickets: map[string]bool{}, resumes: map[string]bool{}, cookies: map[string]bool{},
		refusals: map[string][]refusal{}, carriers: map[*carrier]bool{},
	}
	mux := http.NewServeMux()
	mux.Handle("/console/", console.Handler())
	mux.HandleFunc("POST /console/session", g.begin)
	mux.HandleFunc("POST /console/resume", g.resume)
	mux.HandleFunc("GET /v3/connect/", g.connect)
	mux.HandleFunc("GET /livez", func(http.ResponseWriter, *http.Request) {})
	g.Server = httptest.NewUnstartedServer(g.noting(mux))
	g.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
	return g
}

// ticket is a fresh one.
func (g *gateway) ticket() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	ticket := rand.Text()
	g.tickets[ticket] = true
	return ticket
}

// page is the address of the page with a fresh ticket.
func (g *gateway) page() string { return g.URL + "/console/?token=" + g.ticket() }

// refuse makes a path answer with refusals, one after the other; the last stays.
func (g *gateway) refuse(path string, with ...refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refusals[path] = with
}

// next is how a path is to answer now. The caller holds mu.
func (g *gateway) next(path string) refusal {
	list := g.refusals[path]
	if len(list) == 0 {
		return refusal{}
	}
	if len(list) > 1 {
		g.refusals[path] = list[1:]
	}
	return list[0]
}

// paths are what the page has asked for.
func (g *gateway) paths() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.asked)
}

// lack answers nobody who asks for files whose names end so.
func (g *gateway) lack(suffix string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lacking = suffix
}

func (g *gateway) noting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.asked = append(g.asked, r.URL.Path)
		lacking := g.lacking != "" && strings.HasSuffix(r.URL.Path, g.lacking)
		g.mu.Unlock()
		if lacking {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (g *gateway) begin(w http.ResponseWriter, r *http.Request) {
	g.grant(w, r, g.tickets, func(body map[string]string) string { return body["ticket"] })
}

func (g *gateway) resume(w http.ResponseWriter, r *http.Request) {
	g.grant(w, r, g.resumes, func(body map[string]string) string { return body["resume"] })
}

// grant answers with a session for a fresh credential of known.
func (g *gateway) grant(w http.ResponseWriter, r *http.Request, known map[string]bool, of func(map[string]string) string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var body map[string]string
	err := json.NewDecoder(r.Body).Decode(&body)
	fresh, there := known[of(body)]
	no := g.next(r.URL.Path)
	switch {
	case err != nil || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Origin") != originOf(r):
		no = refusal{http.StatusBadRequest, "BAD_JSON"}
	case no.status != 0:
	case !there:
		no = refusal{http.StatusForbidden, "FORBIDDEN"}
	case !fresh:
		no = refusal{http.StatusConflict, "GRANT_USED"}
	}
	if no.status != 0 {
		w.WriteHeader(no.status)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]string{{"code": no.code, "message": "no"}}})
		return
	}
	known[of(body)] = false
	answer := g.answer
	answer.Resume = rand.Text()
	g.resumes[answer.Resume] = true
	cookie := rand.Text()
	answer.Session = fmt.Sprintf("%016x", len(g.cookies)+1)
	g.cookies[answer.Session+cookie] = true
	http.SetCookie(w, &http.Cookie{Name: cookieName + answer.Session, Value: cookie, Path: "/v3/connect/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	_ = json.NewEncoder(w).Encode(answer)
}

func originOf(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// connect carries a desktop to whoever has a fresh cookie.
func (g *gateway) connect(w http.ResponseWriter, r *http.Request) {
	session := r.URL.Query().Get("session")
	cookie, err := r.Cookie(cookieName + session)
	g.mu.Lock()
	fresh := err == nil && g.cookies[session+cookie.Value]
	if fresh {
		g.cookies[session+cookie.Value] = false
	}
	no := g.next(r.URL.Path)
	g.mu.Unlock()
	if !fresh || no.status != 0 {
		http.Error(w, "no", max(no.status, http.StatusForbidden))
		return
	}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"binary"}})
	if err != nil {
		return
	}
	ws.SetReadLimit(16 << 20)
	conn := r.Context().Value(connKey{}).(net.Conn)
	if secured, is := conn.(*tls.Conn); is {
		conn = secured.NetConn()
	}
	g.carry(&carrier{ws: ws, tcp: conn.(*net.TCPConn)})
}
