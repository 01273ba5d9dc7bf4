package directory

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// shareTime is how long Share waits for peers.
const shareTime = 200 * time.Millisecond

// Share puts a record when every living peer has acknowledged it. It waits 200 ms
// at most; a peer that has not answered by then gets the record as after Put, and
// is not waited for until it answers something. A *Refused, or ctx's error when
// that ended first, means that soon every node holds again what this one holds: the
// former record of the key, or none.
func (d *Directory) Share(ctx context.Context, r Record) error {
	if !r.valid() {
		return fmt.Errorf("a record of kind %.20q with a key of %d and a value of %d bytes is beyond the limits of the directory", r.Kind, len(r.Key), len(r.Value))
	}
	d.mu.Lock()
	e := d.state.compose(r, false, d.now())
	d.state.pending[e.seq] = struct{}{}
	offered := item{r.Kind, e}
	m := message{what: share, from: d.state.self.instance, items: []item{offered}}.encode()
	peers := d.awaited()
	d.mu.Unlock()
	missed, err := d.offer(ctx, m, peers)
	return d.settle(offered, len(peers)-len(missed), missed, err)
}

// awaited returns the peers that Share waits for; d.mu is held.
func (d *Directory) awaited() []netip.Addr {
	var peers []netip.Addr
	for peer, l := range d.links {
		if l.alive && !l.silent {
			peers = append(peers, peer)
		}
	}
	return peers
}

// reply is what became of an offer at a peer.
type reply struct {
	peer netip.Addr
	answer
	err error
}

// offer sends m to the peers and returns those that did not answer in time, or
// the first refusal.
func (d *Directory) offer(ctx context.Context, m []byte, peers []netip.Addr) (missed []netip.Addr, err error) {
	// A context of its own: ctx may be that of a peer's request, which must not
	// cause others in turn, whereas these end here.
	sending, cancel := context.WithTimeout(context.Background(), shareTime)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	replies := make(chan reply, len(peers))
	for _, peer := range peers {
		go func() {
			a, err := d.send(sending, peer, m)
			replies <- reply{peer, a, err}
		}()
	}
	for range peers {
		switch r := <-replies; {
		case r.err == nil && r.outcome == refused:
			return nil, &Refused{Node: r.peer, Reason: r.reason}
		case r.err != nil || r.outcome != done:
			missed = append(missed, r.peer)
		}
	}
	return missed, ctx.Err()
}

// settle puts what was offered and some peers took, or withdraws it.
func (d *Directory) settle(i item, took int, missed []netip.Addr, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.state.withdraw(i, d.now())
		d.wake()
		return err
	}
	for _, peer := range missed {
		if l := d.links[peer]; l != nil && !l.silent {
			l.silent = true
			go d.deps.Log.WithField("node", peer.String()). // not under the lock
									Warn("a node does not acknowledge in time; it is not waited for until it answers")
		}
	}
	if d.state.settle(i) == full {
		d.traffic.dropped++
	}
	if took < d.living() { // those that acknowledged hear of it with what comes next
		d.wake()
	}
	return nil
}

// living counts the peers that are alive; d.mu is held.
func (d *Directory) living() int {
	living := 0
	for _, l := range d.links {
		if l.alive {
			living++
		}
	}
	return living
}

// send brings m to a peer and decodes its answer.
func (d *Directory) send(ctx context.Context, to netip.Addr, m []byte) (answer, error) {
	if d.deps.Carrier == nil {
		return answer{}, fmt.Errorf("nothing carries messages to %s", to)
	}
	b, err := d.deps.Carrier.Send(ctx, to, m)
	if err != nil {
		return answer{}, err
	}
	return decodeAnswer(b)
}
