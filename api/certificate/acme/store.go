package acme

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
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

// Store puts a value: all of it, or nothing.
func (s *store) Store(_ context.Context, key string, value []byte) error {
	if err := checkValue(key, value); err != nil {
		return err
	}
	return s.keep(path.Dir(key), map[string][]byte{path.Base(key): value})
}

func checkValue(key string, value []byte) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if len(value) > maxValue {
		return fmt.Errorf("the value of %s has %d bytes, %d are allowed", key, len(value), maxValue)
	}
	return nil
}

// keep puts values into a folder. They are newer than all that is in it, though the
// clock may say something else.
func (s *store) keep(folder string, values map[string][]byte) error {
	s.writing.Lock()
	at := time.Now()
	if newest := s.newest(folder); !at.After(newest) {
		at = newest.Add(time.Microsecond)
	}
	f := Folder{Name: folder}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		f.Files = append(f.Files, File{name, values[name], at})
		at = at.Add(time.Microsecond)
	}
	err := s.put(f)
	s.writing.Unlock()
	if err == nil {
		s.changed(folder)
	}
	return err
}

// put writes files of a folder. The first one takes its place when all are on the disk,
// so one that is full changes nothing; the newest is the last, so a folder that a crash
// left half done is not the newest, and comes again from others.
func (s *store) put(f Folder) error {
	dir := s.file(f.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	files := slices.SortedStableFunc(slices.Values(f.Files), func(a, b File) int { return a.Modified.Compare(b.Modified) })
	var written []string
	defer func() {
		for _, name := range written {
			_ = os.Remove(name) // gone when all went well
		}
	}()
	for _, file := range files {
		name, err := write(dir, file)
		written = append(written, name)
		if err != nil {
			return fmt.Errorf("keep %s/%s: %w", f.Name, file.Name, err)
		}
	}
	for i, file := range files {
		if err := os.Rename(written[i], filepath.Join(dir, file.Name)); err != nil {
			return err
		}
	}
	return nil
}

// write writes a file under another name, which it returns. Errors name the folder: they
// are the same at each try.
func write(dir string, file File) (string, error) {
	f, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return "", in(dir, err)
	}
	_, err = f.Write(file.Value)
	err = cmp.Or(err, f.Sync())
	err = cmp.Or(err, f.Close())
	if err == nil && !file.Modified.IsZero() {
		err = os.Chtimes(f.Name(), file.Modified, file.Modified)
	}
	return f.Name(), in(dir, err)
}

func in(dir string, err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		return fmt.Errorf("%s in %s: %w", named.Op, dir, named.Err)
	}
	return err
}

// room tells why the disk would not take what an authority issues.
func (s *store) room() error {
	err := os.MkdirAll(s.dir, 0o700)
	if err == nil {
		var name string
		name, err = write(s.dir, File{Value: make([]byte, maxValue)})
		_ = os.Remove(name) // it was a trial
	}
	if err != nil {
		return fmt.Errorf("a certificate could not be kept: %w", err)
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
