package acme

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"

	"github.com/caddyserver/certmagic"
)

// draft is the store as certmagic sees it in one attempt. What it keeps under a lock
// comes into the store when it gives the lock back, each folder as a whole. So a
// certificate is never seen or shared without its key, nothing of another node comes
// in between, and what is there stays: certmagic deletes the former certificate when it
// cannot keep all of the next one. Challenges are kept at once.
//
// It is for one goroutine.
type draft struct {
	*store
	values map[string][]byte // by key; nil: deleted, which never comes into the store
	err    error             // why it could not be kept; certmagic would only log it
}

var _ certmagic.Storage = (*draft)(nil)

func newDraft(s *store) *draft { return &draft{store: s, values: map[string][]byte{}} }

// Lock waits for a name. It is refused when there is no room for what comes of it: the
// authority counts what it has issued, also what could not be kept.
func (d *draft) Lock(ctx context.Context, name string) error {
	if err := d.room(); err != nil {
		d.err = notAsked{err}
		return d.err
	}
	return d.store.Lock(ctx, name)
}

// Unlock keeps what was stored and gives the name back.
func (d *draft) Unlock(ctx context.Context, name string) error {
	folders := map[string]map[string][]byte{}
	for key, value := range d.values {
		if value == nil {
			continue
		}
		if folders[path.Dir(key)] == nil {
			folders[path.Dir(key)] = map[string][]byte{}
		}
		folders[path.Dir(key)][path.Base(key)] = value
	}
	maps.DeleteFunc(d.values, func(_ string, value []byte) bool { return value != nil })
	for folder, values := range folders {
		d.err = errors.Join(d.err, d.keep(folder, values))
	}
	return d.store.Unlock(ctx, name)
}

// Store notes a value.
func (d *draft) Store(ctx context.Context, key string, value []byte) error {
	if isChallenge(path.Dir(key)) {
		return d.store.Store(ctx, key, value)
	}
	if err := checkValue(key, value); err != nil {
		return err
	}
	d.values[key] = append([]byte{}, value...)
	return nil
}

// Load is the value of a key as it was noted, or else as it is in the store.
func (d *draft) Load(ctx context.Context, key string) ([]byte, error) {
	value, noted := d.values[key]
	switch {
	case !noted:
		return d.store.Load(ctx, key)
	case value == nil:
		return nil, fs.ErrNotExist
	}
	return value, nil
}

// Delete notes that a value is not there.
func (d *draft) Delete(ctx context.Context, key string) error {
	if isChallenge(path.Dir(key)) {
		return d.store.Delete(ctx, key)
	}
	d.values[key] = nil
	return checkKey(key)
}

// Exists tells whether there is such a key.
func (d *draft) Exists(ctx context.Context, key string) bool {
	if value, noted := d.values[key]; noted {
		return value != nil
	}
	return d.store.Exists(ctx, key)
}
