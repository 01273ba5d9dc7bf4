package rules

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"time"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// answerTime bounds the wait for the kernel's answers. They are there when sending
	// returns, but a kernel that refuses a transaction as a whole answers only once,
	// while the library waits for an answer to every message.
	answerTime = 5 * time.Second
	// sendBuffer has room for a transaction, receiveBuffer for the answers to it.
	sendBuffer, receiveBuffer = 64 << 20, 8 << 20
	// chunk is how many elements one message carries. The library cuts off in silence
	// what is beyond 64 KB.
	chunk = 500
)

// operation is one object of a transaction. An operation on nothing is left out.
type operation struct {
	name string
	send func(*nftables.Conn) error
}

// flusher sends operations, as flush does.
type flusher func(ops []operation) error

// connect makes a connection for one transaction; it opens no socket before it is used.
// The library keeps what went wrong in a Conn, so none is used twice.
func connect(options ...nftables.ConnOption) (*nftables.Conn, error) {
	return nftables.New(append(options, nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(
			c.SetReadDeadline(time.Now().Add(answerTime)),
			c.SetWriteBuffer(sendBuffer), c.SetReadBuffer(receiveBuffer),
			c.SetOption(netlink.CapAcknowledge, true)) // an error does not carry the message back
	}))...)
}

// commit sends a transaction: all of it is done, or nothing, and then the error names
// the first object that the kernel did not want.
func commit(by flusher, ops []operation) error {
	if len(ops) == 0 {
		return nil
	}
	err := by(ops)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrPermission):
		return notAllowed(err)
	case errors.Is(err, unix.EMSGSIZE), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("change nftables: %w", err)
	}
	return fmt.Errorf("change nftables: %s: %w", blame(ops), err)
}

func notAllowed(err error) error {
	return fmt.Errorf("nftables: %w: it takes the capability CAP_NET_ADMIN", err)
}

// commitParts is commit for operations that may be done one after the other where the
// kernel does not take them at once: without privileges outside the network namespace
// the send buffer is small.
func commitParts(by flusher, ops []operation) error {
	err := commit(by, ops)
	if !errors.Is(err, unix.EMSGSIZE) || len(ops) < 2 {
		return err
	}
	if err := commitParts(by, ops[:len(ops)/2]); err != nil {
		return err
	}
	return commitParts(by, ops[len(ops)/2:])
}

// flush sends operations. That the library's Flush fails does not tell which message
// was refused, and that it succeeds tells nothing about messages that it could not
// build: each of those has said so before.
func flush(ops []operation) error {
	c, err := connect()
	if err != nil {
		return err
	}
	return send(c, ops)
}

// blame finds the first operation that is refused, after the fact: beginnings of the
// transaction are tried with an end that is always refused, so that none takes effect.
func blame(ops []operation) string {
	i := sort.Search(len(ops), func(i int) bool { return !possible(ops[:i+1]) })
	if i == len(ops) {
		return "the transaction as a whole"
	}
	return ops[i].name
}

// possible tells whether the kernel would take the operations, and does none of them.
func possible(ops []operation) bool {
	never := operation{"nothing", func(c *nftables.Conn) error {
		c.DelChain(&nftables.Chain{Table: table(), Name: "never"})
		return nil
	}}
	return answers(flush(append(ops[:len(ops):len(ops)], never))) == 1
}

// answers counts the refusals in an error of Flush.
func answers(err error) int {
	switch e := err.(type) { //nolint:errorlint // the tree itself is looked at
	case nil:
		return 0
	case *netlink.OpError:
		return 1
	case interface{ Unwrap() []error }:
		n := 0
		for _, inner := range e.Unwrap() {
			n += answers(inner)
		}
		return n
	case interface{ Unwrap() error }:
		return answers(e.Unwrap())
	}
	return 1
}
