package acme

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// maxMessage bounds the values of a message; what is left is asked for again.
	maxMessage = 512 << 10
	maxFiles   = 16 // of a folder
	maxFolders = 256
	// challengeLife is how long a challenge may be of use.
	challengeLife = time.Hour
)

// Message is what a node says to another: what it has, and what has changed.
type Message struct {
	// Have is the newest change of each folder.
	Have  map[string]time.Time
	Offer []Folder
}

// Folder is a folder of the store. It goes as a whole: its files belong together.
type Folder struct {
	Name  string
	Files []File
}

// File is a value of a folder. The values are keys, too: they go sealed.
type File struct {
	Name     string
	Value    []byte
	Modified time.Time
}

// newest is the last change of a folder.
func (f Folder) newest() time.Time {
	var at time.Time
	for _, file := range f.Files {
		if file.Modified.After(at) {
			at = file.Modified
		}
	}
	return at
}

// value is that of a file; nil: there is none.
func (f Folder) value(name string) []byte {
	for _, file := range f.Files {
		if file.Name == name {
			return file.Value
		}
	}
	return nil
}

// check says why a folder of another node is not taken.
func (f Folder) check() error {
	if len(f.Files) == 0 || len(f.Files) > maxFiles {
		return fmt.Errorf("the folder %.80q has %d files, 1 to %d are allowed", f.Name, len(f.Files), maxFiles)
	}
	for _, file := range f.Files {
		if err := checkKey(f.Name + "/" + file.Name); err != nil {
			return err
		}
		if strings.Contains(file.Name, "/") || len(file.Value) > maxValue {
			return fmt.Errorf("the folder %.80q has a file %.80q of %d bytes, which is none", f.Name, file.Name, len(file.Value))
		}
	}
	return nil
}

// stale tells whether a folder holds nothing but challenges that are over.
func stale(name string, newest, now time.Time) bool {
	return isChallenge(name) && now.Sub(newest) > challengeLife
}

// newest is the last change of a folder here; zero: there is none.
func (s *store) newest(name string) time.Time {
	f, err := s.list(name)
	if err != nil {
		return time.Time{}
	}
	return f.newest()
}

// list is a folder without its values.
func (s *store) list(name string) (Folder, error) {
	entries, err := os.ReadDir(s.file(name))
	f := Folder{Name: name}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || checkKey(name+"/"+e.Name()) != nil {
			continue // gone meanwhile, or none of ours
		}
		f.Files = append(f.Files, File{Name: e.Name(), Modified: info.ModTime()})
	}
	return f, err
}

// read is a folder with its values.
func (s *store) read(ctx context.Context, name string) (Folder, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	f, err := s.list(name)
	for i := range f.Files {
		var fault error
		f.Files[i].Value, fault = s.Load(ctx, name+"/"+f.Files[i].Name)
		err = errors.Join(err, fault)
	}
	return f, err
}

// survey is the newest change of each folder.
func (s *store) survey(now time.Time) map[string]time.Time {
	have := map[string]time.Time{}
	_ = filepath.WalkDir(s.dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // what cannot be read is not there
		}
		rest, err := filepath.Rel(s.dir, file)
		key := filepath.ToSlash(rest)
		info, gone := d.Info()
		if err != nil || gone != nil || checkKey(key) != nil {
			return nil //nolint:nilerr // likewise
		}
		if name := path.Dir(key); info.ModTime().After(have[name]) && len(have) < maxFolders {
			have[name] = info.ModTime()
		}
		return nil
	})
	for name, at := range have {
		if stale(name, at, now) {
			delete(have, name)
		}
	}
	return have
}

// newer are the folders that another node lacks, the last changed first, as many as a
// message holds.
func (s *store) newer(ctx context.Context, have map[string]time.Time, now time.Time) []Folder {
	own := s.survey(now)
	names := make([]string, 0, len(own))
	for name, at := range own {
		if at.After(have[name]) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(own[b].Compare(own[a]), cmp.Compare(a, b)) })
	return s.readAll(ctx, names)
}

func (s *store) readAll(ctx context.Context, names []string) []Folder {
	var list []Folder
	size := 0
	for _, name := range names {
		f, err := s.read(ctx, name)
		for _, file := range f.Files {
			size += len(file.Value)
		}
		if err != nil || f.check() != nil {
			continue // it is not whole; another time
		}
		if size > maxMessage {
			return list
		}
		list = append(list, f)
	}
	return list
}

// take takes a folder of another node if it is newer than that of this one.
func (s *store) take(f Folder, now time.Time) (bool, error) {
	if err := f.check(); err != nil {
		return false, err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if !f.newest().After(s.newest(f.Name)) || stale(f.Name, f.newest(), now) {
		return false, nil
	}
	if err := s.put(f); err != nil {
		return false, err
	}
	return true, nil
}

// tidy deletes challenges that are over, and what a crash left half written.
func (s *store) tidy(now time.Time) {
	s.writing.Lock()
	defer s.writing.Unlock()
	var over []string
	_ = filepath.WalkDir(s.dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // it will be there next time
		}
		passing := isChallenge(filepath.ToSlash(filepath.Dir(file))) || strings.HasPrefix(d.Name(), ".new-")
		if info, err := d.Info(); passing && err == nil && now.Sub(info.ModTime()) > challengeLife {
			over = append(over, file)
		}
		return nil
	})
	for _, file := range over {
		_ = os.Remove(file) // it does no harm
	}
}
