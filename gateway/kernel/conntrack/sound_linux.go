package conntrack

import (
	"context"
	"errors"
)

// Sound has both ends of flows say whether they are there. It sends each an ACK as if from
// the other, which passes by conntrack thanks to the packet mark and the same rule that
// Kick needs. Who has the connection answers with an ACK, which shows in the counters; who
// has not answers with a reset, which ends the flow, and the other end's connection. It
// does not wait for that.
func (t *Table) Sound(ctx context.Context, mark uint32, flows ...Flow) error {
	sender, err := openSender(mark)
	if err != nil {
		return err
	}
	defer sender.close()
	for _, f := range flows {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err = errors.Join(err, sender.send(f.Orig.Reversed(), stray), sender.send(f.Reply.Reversed(), stray))
	}
	return err
}
