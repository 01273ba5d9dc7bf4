package api

import (
	"errors"
	"fmt"

	"vdi-gateway/gateway"
)

// unseen is an error for somebody who shall not know where a desktop is: who came with a
// ticket, or with what he got for one. The log has all of it.
func unseen(err error) error {
	for _, about := range []struct {
		err  error
		text string
	}{
		{gateway.ErrVMUnreachable, "the desktop cannot be reached; the log of the gateway says why"},
		{gateway.ErrVMTimeout, "the desktop did not answer in time"},
		{gateway.ErrTargetDenied, "the gateway may not reach the desktop; its log says why"},
	} {
		if errors.Is(err, about.err) {
			return fmt.Errorf("%w: %w", &gateway.Refusal{Err: about.err, Detail: about.text}, err)
		}
	}
	return err
}
