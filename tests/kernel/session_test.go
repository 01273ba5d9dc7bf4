package kernel

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"syscall"
	"time"

	"vdi-gateway/tests/node"
)

// manner is who talks in a session.
type manner int

const (
	vmTalks manner = iota
	clientTalks
	bothTalk
	nobodyTalks
	manners
)

func (m manner) String() string {
	return [...]string{"the VM talks", "the client talks", "both talk", "nobody talks"}[m]
}

// session is a connection between a client and a VM.
type session struct {
	number     int
	manner     manner
	tunnel     node.Tunnel
	from       netip.Addr // the client
	port       uint16     // that it connects from; 0: any
	host       *vmHost
	client, vm *end
	began      time.Time
	relayed    bool // it goes through the daemon of a node
	doomed     bool // it is to end
}

func (s *session) String() string {
	return fmt.Sprintf("session %d (%s, client %s, port %d)", s.number, s.manner, s.from, s.tunnel.Port)
}

// lost says why it is not what it was, nil: it is.
func (s *session) lost() error {
	if err := errors.Join(s.client.lost(), s.vm.lost()); err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	return nil
}

// works tells whether who talks was heard after a moment.
func (s *session) works(after time.Time) bool {
	return (!s.vm.talks || s.client.heardSince(after)) && (!s.client.talks || s.vm.heardSince(after))
}

// pauses are the longest ones of those who are talked to, since the last call.
func (s *session) pauses() (list []time.Duration) {
	if pause := s.client.longest(); s.vm.talks {
		list = append(list, pause)
	}
	if pause := s.vm.longest(); s.client.talks {
		list = append(list, pause)
	}
	return list
}

// finish asks for an echo, ends the session as programs do, and compares what either side
// has said with what the other one has heard.
func (s *session) finish() error {
	s.vm.mu.Lock()
	s.vm.ending = true
	s.vm.mu.Unlock()
	s.client.finish()
	err := s.vm.gone(patience)
	s.vm.finish()
	if err = errors.Join(err, s.client.gone(patience), s.lost()); err != nil {
		return err
	}
	<-s.vm.over // it has heard the last words, so they are said
	up, heardDown := s.client.count()
	down, heardUp := s.vm.count()
	if up != heardUp || down != heardDown {
		return fmt.Errorf("%s: the VM heard %d of %d bytes, the client %d of %d", s, heardUp, up, heardDown, down)
	}
	return nil
}

// wantEnd waits until both ends were told that the session has ended: by a reset, or, if it
// was relayed, by the end of the stream.
func (s *session) wantEnd(forwarding string, within time.Duration) error {
	err := s.wantReset(within)
	if forwarding == "proxy" && errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// wantReset waits until both ends were reset.
func (s *session) wantReset(within time.Duration) error {
	s.doomed = true
	until := time.Now().Add(within)
	for _, e := range []*end{s.client, s.vm} {
		if err := e.gone(time.Until(until)); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		// Who was writing at that moment may have got it there.
		if err := e.lost(); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			return fmt.Errorf("%s: got %w, want a reset", s, err)
		}
	}
	return nil
}

// wantReset waits until both ends of all were reset.
func (r *rig) wantReset(sessions []*session, within time.Duration) {
	r.t.Helper()
	until := time.Now().Add(within)
	var list []error
	for _, s := range sessions {
		if err := s.wantReset(time.Until(until)); err != nil {
			list = append(list, err)
		}
	}
	if len(list) > 0 {
		r.t.Errorf("%d of %d sessions that were to end were not reset at both ends, such as:", len(list), len(sessions))
	}
	for _, err := range some(list) {
		r.t.Error(err)
	}
}

func (s *session) close() {
	s.client.close()
	s.vm.close()
}
