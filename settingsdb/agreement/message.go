package agreement

import (
	"encoding/json"
	"time"
)

// Kinds of messages.
const (
	kindAsk     = "ask"     // what is in force there?
	kindFetch   = "fetch"   // all of it
	kindPrepare = "prepare" // take the lease
	kindApply   = "apply"
	kindFinish  = "finish"
	kindConfirm = "confirm"
)

// proposal is a change on its way.
type proposal struct {
	ID         string     `json:"id"`
	Base       state      `json:"base"` // what it changes
	Merge      bool       `json:"merge,omitempty"`
	Dry        bool       `json:"dry,omitempty"` // check only
	Number     int64      `json:"number,omitempty"`
	Document   []byte     `json:"document,omitempty"`
	Author     string     `json:"author,omitempty"`
	At         time.Time  `json:"at,omitzero"`
	RollbackAt *time.Time `json:"rollback_at,omitempty"`
}

func (p proposal) revision() Revision {
	return Revision{Number: p.Number, Document: p.Document, Author: p.Author, At: p.At, RollbackAt: p.RollbackAt}
}

// state is what is in force on a node.
type state struct {
	Number int64     `json:"number"`
	Hash   Hash      `json:"hash"`
	At     time.Time `json:"at,omitzero"`
}

func stateOf(r Revision) state { return state{Number: r.Number, Hash: r.Hash(), At: r.At} }

func (s state) same(o state) bool { return s.Number == o.Number && s.Hash == o.Hash }

// message is a request to another node.
type message struct {
	Kind     string   `json:"kind"`
	State    state    `json:"state"` // ask: the own
	Proposal proposal `json:"proposal"`
	Commit   bool     `json:"commit,omitempty"` // finish: put in force, or undo
	Why      string   `json:"why,omitempty"`    // finish: of an undoing
}

// answer is what a node says to it.
type answer struct {
	Busy     bool     `json:"busy,omitempty"`
	Reason   string   `json:"reason,omitempty"` // why the change cannot be
	Next     int64    `json:"next,omitempty"`
	WouldEnd []string `json:"would_end,omitempty"`
	State    state    `json:"state"`
	Known    bool     `json:"known,omitempty"` // ask: the asker's state was in force here
	Waiting  bool     `json:"waiting,omitempty"`
	Proposal proposal `json:"proposal"` // fetch
}

// decode reads a message or an answer.
func decode[T any](b []byte) (T, error) {
	var v T
	err := json.Unmarshal(b, &v)
	return v, err
}
