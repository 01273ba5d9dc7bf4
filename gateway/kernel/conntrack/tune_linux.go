package conntrack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// sysctls is where the kernel has them, those of the calling thread's network namespace.
const sysctls = "/proc/sys"

// Tune sets the sysctls that are not as they have to be and returns what it changed. An
// error names each that could not be set and what follows from that, one a line; the
// others are set nevertheless.
//
// A kernel that forwards IPv6 does not take addresses and routes from router
// advertisements any more unless accept_ra is 2 on the interface: that is the operator's
// to set.
func Tune(t Tuning) ([]Change, error) {
	var changed []Change
	var failed error
	for _, s := range t.settings() {
		change, err := s.compare()
		if err == nil && change != nil {
			err = s.set(*change)
			if err == nil {
				changed = append(changed, *change)
			}
		}
		failed = errors.Join(failed, err)
	}
	return changed, failed
}

// Missing is Tune without changing anything: what it would change, and which sysctls this
// kernel does not have.
func Missing(t Tuning) ([]Change, error) {
	var missing []Change
	var failed error
	for _, s := range t.settings() {
		change, err := s.compare()
		if change != nil {
			missing = append(missing, *change)
		}
		failed = errors.Join(failed, err)
	}
	return missing, failed
}

// compare is nil when all is well.
func (s setting) compare() (*Change, error) {
	text, err := os.ReadFile(s.path())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("this kernel has no %s, so %s: %w", s.key, s.otherwise, err)
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w", s.key, err)
	}
	if was := strings.TrimSpace(string(text)); was != s.value {
		return &Change{Key: s.key, Was: was, Wanted: s.value}, nil
	}
	return nil, nil
}

// set changes it and looks whether that holds: some kernels refuse without a word.
func (s setting) set(c Change) error {
	err := os.WriteFile(s.path(), []byte(s.value+"\n"), 0) //nolint:gosec // it exists
	if err == nil {
		var still *Change
		if still, err = s.compare(); err == nil && still == nil {
			return nil
		}
	}
	hint := fmt.Sprintf("set it in /etc/sysctl.d: %s = %s", s.key, s.value)
	if errors.Is(err, fs.ErrPermission) {
		hint = "give the service CAP_NET_ADMIN and a writable /proc/sys, or " + hint
	}
	return errors.Join(err, fmt.Errorf("%s and cannot be set here, so %s; %s", c, s.otherwise, hint))
}

func (s setting) path() string {
	return filepath.Join(sysctls, strings.ReplaceAll(s.key, ".", "/"))
}
