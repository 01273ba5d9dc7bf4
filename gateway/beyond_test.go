package gateway

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestBeyondTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		late, end := beyond(ctx, 3*time.Second)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if late.Err() != nil {
			t.Errorf("after the deadline: got %v, want it to go on", late.Err())
		}
		time.Sleep(2 * time.Second)
		if late.Err() == nil {
			t.Error("after its own time: got no end")
		}
		end()
		cancel()
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		late, end = beyond(ctx, 3*time.Second)
		defer end()
		cancel() // the node is not active any more
		synctest.Wait()
		if late.Err() == nil {
			t.Error("after it was cancelled: got no end")
		}
	})
}
