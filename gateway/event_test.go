package gateway

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"
)

// page is a log that can be read while it is written.
type page struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

func TestJournalHasOneLineEachAndNoSecrets(t *testing.T) {
	vm, journal := newEcho(t), &page{}
	log := logrus.New()
	log.SetOutput(journal)
	log.SetLevel(logrus.TraceLevel)
	g := New(Deps{Log: log, Tickets: newMemoryTickets()})
	addr := loopbackOf(t)
	if err := g.Apply(configFor(addr)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = g.Run(ctx) }()
	r := &rig{Gateway: g, t: t, addr: addr}
	ticket := r.ticket(vm.addr, func(q *TicketRequest) { q.User, q.VMID = "ada", "vm-7" })
	grant, err := r.redeem(ticket, "127.0.0.5")
	if err != nil {
		t.Fatal(err)
	}
	says(t, r.enter(grant), "hello")
	web := r.granted("127.0.0.6", vm.addr, overWebSocket)
	says(t, r.attach(web.Token, "127.0.0.6"), "hello")
	vm.listener.Close()
	r.refusedAt(r.granted("127.0.0.7", vm.addr))
	eventually(t, "the failure told", func() bool { return strings.Contains(journal.String(), "session failed") })
	stop()
	<-ended
	text := journal.String()
	for part, want := range map[string]int{
		"session opened": 2, "session closed": 2, "session failed": 1,
		"reason=shutdown": 2, "reason=vm_unreachable": 1, "user=ada": 2, "vm_id=vm-7": 2,
		"bytes_up=5": 2, string(grant.ID): 2, "duration_s=": 3,
	} {
		if got := strings.Count(text, part); got != want {
			t.Errorf("got %q %d times, want %d times, in:\n%s", part, got, want, text)
		}
	}
	for _, secret := range []Secret{ticket, grant.Token, web.Token} {
		if strings.Contains(text, secret.Reveal()) {
			t.Errorf("got a secret in the log:\n%s", text)
		}
	}
}
