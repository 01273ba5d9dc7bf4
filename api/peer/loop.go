package peer

import "context"

// mark is in the context of handlers: nil is absent, true forbids calls.
type mark struct{}

func marked(ctx context.Context) context.Context { return context.WithValue(ctx, mark{}, true) }

// Allow returns a context in which a handler may call other nodes. Without it
// Call returns ErrLoop there, so that no request runs in circles by oversight; who
// allows it must know why the called handler does not come back.
func Allow(ctx context.Context) context.Context { return context.WithValue(ctx, mark{}, false) }

func inHandler(ctx context.Context) bool {
	forbidden, _ := ctx.Value(mark{}).(bool)
	return forbidden
}
