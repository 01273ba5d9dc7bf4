package acme

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

// store keeps values in files, as certmagic wants it.
type store struct {
	dir     string
	changed func(folder string) // is told of what was stored here
	locks   locks
	writing sync.Mutex
}

var _ certmagic.Storage = (*store)(nil)

func newStore(dir string, changed func(folder string)) *store {
	return &store{dir: filepath.Join(dir, folder), changed: changed, locks: locks{held: map[string]chan struct{}{}}}
}

func (s *store) file(key string) string { return filepath.Join(s.dir, filepath.FromSlash(key)) }

// Store puts a value: all of it, or nothing. It is newer than all that is in its
// folder, though the clock may say something else.
func (s *store) Store(_ context.Context, key string, value []byte) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if len(value) > maxValue {
		return fmt.Errorf("the value of %s has %d bytes, %d are allowed", key, len(value), maxValue)
	}
	s.writing.Lock()
	at := time.Now()
	if newest := s.newest(path.Dir(key)); !at.After(newest) {
		at = newest.Add(time.Microsecond)
	}
	err := s.put(File{path.Base(key), value, at}, path.Dir(key))
	s.writing.Unlock()
	if err == nil {
		s.changed(path.Dir(key))
	}
	return err
}

// put writes a file of a folder.
func (s *store) put(file File, folder string) error {
	dir := s.file(folder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone when all went well
	_, err = f.Write(file.Value)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Chtimes(f.Name(), file.Modified, file.Modified)
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, file.Name))
	}
	if err != nil {
		return fmt.Errorf("keep %s/%s: %w", folder, file.Name, err)
	}
	return nil
}

// Load is the value of a key; one that is not there is fs.ErrNotExist.
func (s *store) Load(_ context.Context, key string) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	f, err := os.Open(s.file(key))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	value, err := io.ReadAll(io.LimitReader(f, maxValue+1))
	if err == nil && len(value) > maxValue {
		err = fmt.Errorf("%s is larger than %d bytes: it is none of ours", f.Name(), maxValue)
	}
	return value, err
}

// Delete removes a key, or all below it.
func (s *store) Delete(_ context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	return os.RemoveAll(s.file(key))
}

// Exists tells whether there is such a key, or one below it.
func (s *store) Exists(_ context.Context, key string) bool {
	if checkKey(key) != nil {
		return false
	}
	_, err := os.Stat(s.file(key))
	return err == nil
}

// List are the keys below one: all, or those of one level.
func (s *store) List(ctx context.Context, below string, recursive bool) ([]string, error) {
	if err := checkKey(below); err != nil {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	var keys []string
	top := s.file(below)
	err := filepath.WalkDir(top, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || ctx.Err() != nil:
			return errors.Join(err, ctx.Err())
		case file == top || strings.HasPrefix(d.Name(), "."):
			return nil
		}
		rest, err := filepath.Rel(s.dir, file)
		keys = append(keys, filepath.ToSlash(rest))
		if err == nil && d.IsDir() && !recursive {
			return fs.SkipDir
		}
		return err
	})
	return keys, err
}

// Stat tells of a key.
func (s *store) Stat(_ context.Context, key string) (certmagic.KeyInfo, error) {
	if err := checkKey(key); err != nil {
		return certmagic.KeyInfo{}, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	info, err := os.Stat(s.file(key))
	if err != nil {
		return certmagic.KeyInfo{}, err
	}
	return certmagic.KeyInfo{Key: key, Modified: info.ModTime(), Size: info.Size(), IsTerminal: !info.IsDir()}, nil
}

// Lock waits for a name that others may have.
func (s *store) Lock(ctx context.Context, name string) error { return s.locks.take(ctx, name) }

// Unlock gives it back.
func (s *store) Unlock(_ context.Context, name string) error { return s.locks.give(name) }
