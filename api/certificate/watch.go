package certificate

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settleTime is waited for after the last change of a folder: a pair is two
	// files.
	settleTime = 300 * time.Millisecond
	// lookEvery is how often files are looked at without a sign of a change: a
	// folder may be missing, replaced, or of a file system that tells nothing; and
	// certificates end by themselves.
	lookEvery = 5 * time.Second
)

// Run takes what the files become, until ctx is done. It may be called once.
func (k *Keeper) Run(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		k.log.WithError(err).Warn("certificate files cannot be watched; they are looked at every few seconds")
		watcher = &fsnotify.Watcher{} // its channels are nil: they never tell
	} else {
		defer watcher.Close()
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	settled := time.NewTimer(0)
	defer settled.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-watcher.Events:
			settled.Reset(settleTime)
		case err := <-watcher.Errors: // events may be lost: look
			k.log.WithError(err).Debug("watching certificate files")
			settled.Reset(settleTime)
		case <-k.changed:
			k.follow(watcher)
		case <-tick.C:
			k.follow(watcher)
			k.refresh(time.Now())
		case <-settled.C:
			k.follow(watcher) // a folder may have come
			k.refresh(time.Now())
		}
	}
}

// follow watches the folders that the pair may come from. One that is not there is
// tried again later.
func (k *Keeper) follow(watcher *fsnotify.Watcher) {
	if watcher.Events == nil {
		return
	}
	k.mu.Lock()
	cfg := k.cfg
	k.mu.Unlock()
	wanted := map[string]bool{}
	if cfg.Enabled {
		certFile, keyFile := k.deps.files(cfg)
		for _, file := range []string{certFile, keyFile, k.deps.DefaultCert, filepath.Join(k.deps.Dir, "x")} {
			if file != "" {
				wanted[k.deps.nearest(filepath.Dir(file))] = true
			}
		}
	}
	for _, dir := range watcher.WatchList() {
		if !wanted[dir] {
			_ = watcher.Remove(dir) // gone already: fine
		}
	}
	for dir := range wanted {
		_ = watcher.Add(dir)
	}
}

// nearest is a folder, or if it is yet to come below Dir, what there is on the way to it.
func (d Deps) nearest(dir string) string {
	for strings.HasPrefix(dir, d.Dir+string(filepath.Separator)) && !exists(dir) {
		dir = filepath.Dir(dir)
	}
	return dir
}
