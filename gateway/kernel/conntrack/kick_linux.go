package conntrack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// kickLook is how often it is looked whether both ends were hit.
	kickLook = 10 * time.Millisecond
	// kickAgain is when an end that gave no sign is asked once more: a packet may be lost,
	// and Linux answers what does not fit a connection at most twice a second
	// (net.ipv4.tcp_invalid_ratelimit).
	kickAgain = 150 * time.Millisecond
	// kickTime is when an end that gave no sign is given up: it is gone, most likely. There
	// is time for two answers.
	kickTime = 1500 * time.Millisecond
)

// kicked is a flow that is being ended.
type kicked struct {
	flow       Flow // as it was right after it was marked
	client, vm bool // which ends have sent something since, and so were reset
	// Which ends sent something while it was marked. Whether that was too early nobody can
	// tell; but then they answer, while those that were reset have nothing left to answer.
	maybeClient, maybeVM bool
}

// Kick ends translated flows at both ends, also where nobody says anything. It marks
// their entries, which somebody's rule has to answer with a reset:
//
//	chain forward: ct mark MARK meta l4proto tcp reject with tcp reset
//	chain output, priority raw: meta mark MARK notrack
//
// That resets who speaks next. To have both speak it sends each a SYN as if from the
// other (packet mark MARK, so that it passes by conntrack), which they answer with an ACK.
// Then it deletes the entries. It returns when all ends were seen to have sent something,
// or after 1.5 s: because an end gave no sign (ErrUnanswered), or because it was busy at
// the very moment, so that nobody can tell. No sign says that an end is gone, or that the
// kernel does not count (nf_conntrack_acct). Flows that are not there any more are no
// failures.
//
// When ctx ends before, the entries stay, marked: who speaks is still reset.
func (t *Table) Kick(ctx context.Context, mark uint32, flows ...Flow) ([]Failure, error) {
	sender, err := openSender(mark)
	if err != nil {
		return nil, err
	}
	defer sender.close()
	open, failed, err := t.condemn(ctx, mark, flows)
	if err != nil {
		return failed, err
	}
	all := make([]Flow, len(open))
	for i, k := range open {
		all[i] = k.flow
	}
	if err := ctx.Err(); err != nil {
		return failed, err
	}
	unsent := sender.probe(open)
	open, err = t.awaitResets(ctx, sender, open)
	if err != nil {
		return failed, err
	}
	for _, k := range open {
		if err := k.unanswered(); err != nil {
			failed = append(failed, Failure{k.flow, errors.Join(err, unsent[k.flow.Orig])})
		}
	}
	more, err := t.Delete(ctx, all...)
	return append(failed, more...), err
}

// condemn marks the flows: what they send from now on meets the rule.
func (t *Table) condemn(ctx context.Context, mark uint32, flows []Flow) ([]kicked, []Failure, error) {
	before, _, err := t.lookUp(ctx, flows)
	if err != nil {
		return nil, nil, err
	}
	failed, err := t.SetMark(ctx, mark, flows...)
	if err != nil {
		return nil, failed, err
	}
	failed = slices.DeleteFunc(failed, func(f Failure) bool { return errors.Is(f.Err, ErrNotFound) })
	found, missing, err := t.lookUp(ctx, before)
	if err != nil {
		return nil, failed, err
	}
	var open []kicked
	for i, f := range found {
		if missing[i] == nil && f.Mark == mark {
			open = append(open, kicked{
				flow:        f,
				maybeClient: f.Sent.Packets > before[i].Sent.Packets,
				maybeVM:     f.Back.Packets > before[i].Back.Packets,
			})
		}
	}
	return open, failed, nil
}

// awaitResets waits until both ends of all flows have sent something, and returns those
// flows that had not when it gave up.
func (t *Table) awaitResets(ctx context.Context, sender *sender, open []kicked) ([]kicked, error) {
	tick := time.NewTicker(kickLook)
	defer tick.Stop()
	began := time.Now()
	for asked := began; len(open) > 0; {
		select {
		case <-ctx.Done():
			return open, ctx.Err()
		case <-tick.C:
		}
		var err error
		if open, err = t.stillOpen(ctx, open); err != nil {
			return open, err
		}
		now := time.Now()
		if now.Sub(began) > kickTime {
			break
		}
		if now.Sub(asked) > kickAgain {
			asked = now
			sender.probe(open)
		}
	}
	return open, nil
}

// stillOpen are the flows of which an end has sent nothing since.
func (t *Table) stillOpen(ctx context.Context, open []kicked) ([]kicked, error) {
	flows := make([]Flow, len(open))
	for i, k := range open {
		flows[i] = k.flow
	}
	found, missing, err := t.lookUp(ctx, flows)
	if err != nil {
		return open, err
	}
	var rest []kicked
	for i, k := range open {
		now := found[i]
		k.client = k.client || now.Sent.Packets > k.flow.Sent.Packets
		k.vm = k.vm || now.Back.Packets > k.flow.Back.Packets
		gone := missing[i] != nil || now.ID != k.flow.ID
		if !gone && (!k.client || !k.vm) {
			rest = append(rest, k)
		}
	}
	return rest, nil
}

// unanswered says who gave no sign at all, nil for nobody.
func (k kicked) unanswered() error {
	client, vm := k.client || k.maybeClient, k.vm || k.maybeVM
	switch {
	case client && vm:
		return nil
	case !k.flow.Counted:
		return fmt.Errorf("%w: the kernel does not count this flow (net.netfilter.nf_conntrack_acct)", ErrUnanswered)
	case vm:
		return fmt.Errorf("%w of the client %s", ErrUnanswered, k.flow.Client())
	case client:
		return fmt.Errorf("%w of the VM %s", ErrUnanswered, k.flow.VM())
	}
	return fmt.Errorf("%w of the client %s and the VM %s", ErrUnanswered, k.flow.Client(), k.flow.VM())
}

// sender sends packets with addresses of others.
type sender struct{ fd4, fd6 int }

func openSender(mark uint32) (*sender, error) {
	s := &sender{fd4: -1, fd6: -1}
	var err error
	if s.fd4, err = rawSocket(unix.AF_INET, mark); err != nil {
		return nil, err
	}
	s.fd6, err = rawSocket(unix.AF_INET6, mark)
	if err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
		s.close()
		return nil, err
	}
	return s, nil
}

func rawSocket(family int, mark uint32) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err == nil {
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)); err == nil {
			return fd, nil
		}
		_ = unix.Close(fd) // it was never used
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		err = fmt.Errorf("%w: %w", ErrNotPermitted, err)
	}
	return -1, fmt.Errorf("open a raw socket with a mark (it takes CAP_NET_RAW and CAP_NET_ADMIN): %w", err)
}

func (s *sender) close() {
	for _, fd := range []int{s.fd4, s.fd6} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// probe has the ends speak that have not. It tells what could not be sent, by flow.
func (s *sender) probe(open []kicked) map[Tuple]error {
	unsent := map[Tuple]error{}
	for _, k := range open {
		var err error
		if !k.client {
			err = s.send(k.flow.Orig.Reversed(), syn)
		}
		if !k.vm {
			err = errors.Join(err, s.send(k.flow.Reply.Reversed(), syn))
		}
		if err != nil {
			unsent[k.flow.Orig] = err
		}
	}
	return unsent
}

func (s *sender) send(t Tuple, segment func(Tuple) []byte) error {
	fd := s.fd6
	if t.Is4() {
		fd = s.fd4
	}
	if err := unix.Sendto(fd, segment(t), 0, sockaddr(t.Dst.Addr())); err != nil {
		return fmt.Errorf("send a segment to %s: %w", t.Dst, err)
	}
	return nil
}

// sockaddr is an address for a raw socket: it has no port.
func sockaddr(a netip.Addr) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Addr: a.As16()}
}
