package kernel

import (
	"fmt"
	"math"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"vdi-gateway/tests/lab"
	"vdi-gateway/tests/node"
)

// opening is how many clients open their tunnels at the same time.
const opening = 8

// crowd are sessions of a rig.
type crowd struct {
	r   *rig
	all []*session
	// frail: sessions need not survive that the address moves by itself.
	frail bool
}

// crowd has n sessions begin, in all manners, from all clients and to all VMs.
func (r *rig) crowd(n int) *crowd {
	r.t.Helper()
	c := &crowd{r: r}
	c.grow(n)
	return c
}

// grow has n more sessions begin.
func (c *crowd) grow(n int) {
	c.r.t.Helper()
	began := time.Now()
	var mu sync.Mutex
	var all errgroup.Group
	all.SetLimit(opening)
	for range n {
		s := c.r.plan()
		all.Go(func() error {
			err := c.r.begin(s)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				c.all = append(c.all, s)
			}
			return err
		})
	}
	if err := all.Wait(); err != nil {
		c.r.t.Fatalf("%d of %d sessions began: %v", len(c.all), n, err)
	}
	c.r.t.Logf("%d sessions began in %s", n, time.Since(began).Round(time.Millisecond))
}

// plan says who comes next: sessions with all manners, clients and VMs.
func (r *rig) plan() *session {
	n := r.sessions
	r.sessions++
	return &session{
		number: n, manner: manner(n % int(manners)), from: r.people[n/int(manners)%len(r.people)],
		host: r.vms[n/int(manners)/len(r.people)%len(r.vms)],
	}
}

// begin opens a tunnel and connects.
func (r *rig) begin(s *session) (err error) {
	s.began = time.Now()
	api := node.ClientAt(r.api(), r.clients, s.from)
	defer api.Close()
	for try := 0; try == 0 || try < 3 && (isTimeout(err) || refused(err)); try++ { // its node may have lost the address
		s.tunnel, err = api.Open(soon(r.t), r.request(s.host))
	}
	if err != nil {
		return fmt.Errorf("%s: open: %w", s, err)
	}
	if err = r.enter(s); err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	return nil
}

func (r *rig) request(v *vmHost) node.OpenRequest {
	return node.OpenRequest{VMAddress: v.addr.Addr().String(), VMPort: int(v.addr.Port())}
}

// enter connects by the tunnel that the session has.
func (r *rig) enter(s *session) error {
	if s.began.IsZero() {
		s.began = time.Now()
	}
	came := s.host.expect(s.number)
	conn, err := r.connect(s)
	if err != nil {
		return err
	}
	if _, err = conn.Write(hello(s.number)); err != nil {
		return err
	}
	select {
	case vm := <-came:
		up, down := newStream(s.number, true), newStream(s.number, false)
		s.client = newEnd("client", conn, s.manner == clientTalks || s.manner == bothTalk, up, down)
		s.relayed = vm.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap() != r.within
		s.vm = newEnd("VM", vm, s.manner == vmTalks || s.manner == bothTalk, down, up)
		r.t.Cleanup(s.close)
		return nil
	case <-time.After(patience):
		_ = conn.Close()
		return fmt.Errorf("the VM heard nothing of it in %s", patience)
	}
}

// living are the sessions that are to go on.
func (c *crowd) living() []*session {
	return slices.DeleteFunc(slices.Clone(c.all), func(s *session) bool { return s.doomed || c.excused(s) })
}

// excused tells whether a session may have ended because a node that relayed it has lost the
// address: on a machine that is too busy to let it run, that happens without anybody's doing.
func (c *crowd) excused(s *session) bool { return (s.relayed || c.frail) && c.r.moved(s.began) }

// moved tells whether another node has, or had, the address since a moment.
func (r *rig) moved(since time.Time) bool {
	spans := r.owners.Spans(since)
	return !r.shape.alone && slices.ContainsFunc(spans, func(span lab.Span) bool { return !slices.Equal(span.Owners, spans[0].Owners) })
}

// lost are the sessions that do not go on although they should.
func (c *crowd) lost() (list []error) {
	for _, s := range c.living() {
		if err := s.lost(); err != nil {
			list = append(list, err)
			s.doomed = true
		}
	}
	return list
}

// goOn waits until whoever talks was heard anew, and wants none to be lost.
func (c *crowd) goOn(what string) {
	c.r.t.Helper()
	since, waiting := time.Now(), c.living()
	for end := since.Add(patience); len(waiting) > 0 && time.Now().Before(end); time.Sleep(pollEvery) {
		waiting = slices.DeleteFunc(waiting, func(s *session) bool { return s.works(since) || s.lost() != nil })
	}
	c.r.t.Logf("%s: all that talk were heard again after %s", what, time.Since(since).Round(time.Millisecond))
	if len(waiting) > 0 {
		c.r.t.Errorf("%s: %d sessions hear nothing, such as:", what, len(waiting))
	}
	for _, s := range some(waiting) {
		c.r.t.Errorf("%s, from %s to %s", s, s.client.conn.LocalAddr(), s.vm.conn.RemoteAddr())
	}
	for _, s := range waiting {
		s.doomed = true
	}
	c.none(what)
}

// none wants no session to be lost, and speaks of each once.
func (c *crowd) none(what string) {
	c.r.t.Helper()
	living, lost := len(c.living()), c.lost()
	if len(lost) > 0 {
		c.r.t.Errorf("%s: %d of %d sessions are lost, such as:", what, len(lost), living)
	}
	for _, err := range some(lost) {
		c.r.t.Error(err)
	}
}

// pauses logs how long the sessions heard nothing since the last call, and returns the
// longest time.
func (c *crowd) pauses(what string) time.Duration {
	c.r.t.Helper()
	var list []time.Duration
	for _, s := range c.living() {
		list = append(list, s.pauses()...)
	}
	slices.Sort(list)
	if len(list) == 0 {
		return 0
	}
	at := func(part float64) time.Duration {
		return list[int(math.Ceil(part*float64(len(list))))-1].Round(time.Millisecond)
	}
	c.r.t.Logf("%s: pauses of %d talks: median %s, p99 %s, longest %s", what, len(list), at(0.5), at(0.99), at(1))
	return list[len(list)-1]
}

// finish asks every session for an echo, ends them all, and wants every byte to have come.
func (c *crowd) finish() {
	c.r.t.Helper()
	living := c.living()
	errs := make([]error, len(living))
	var all sync.WaitGroup
	for i, s := range living {
		s.doomed = true
		all.Go(func() { errs[i] = s.finish() })
	}
	all.Wait()
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	c.r.t.Logf("%d of %d sessions are complete", len(living)-len(errs), len(living))
	if ended := slices.DeleteFunc(slices.Clone(c.all), func(s *session) bool { return s.doomed }); len(ended) > 0 {
		c.r.t.Logf("%d more may have ended since the address has moved", len(ended))
	}
	if len(errs) > 0 {
		c.r.t.Errorf("%d of %d sessions are lost, such as:", len(errs), len(living))
	}
	for _, err := range some(errs) {
		c.r.t.Error(err)
	}
	for _, v := range c.r.vms {
		if who := v.strangers(); len(who) > 0 {
			c.r.t.Errorf("VM %s was reached by %d strangers, such as %s", v.addr, len(who), who[0])
		}
	}
}

// inKernel wants the VMs to see the address that the data path gives its flows.
func (c *crowd) inKernel() {
	c.r.t.Helper()
	for _, s := range c.all {
		if s.relayed {
			c.r.t.Fatalf("%s: the VM sees %s, want %s", s, s.vm.conn.RemoteAddr(), c.r.within)
		}
	}
}

// some are as many as one can read.
func some[T any](list []T) []T { return list[:min(len(list), 5)] }
