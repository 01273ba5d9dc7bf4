package settingsdb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// locksFile lists the file locks of the host.
const locksFile = "/proc/locks"

// Holder is the process that runs on a database, 0 when none does. It needs no
// permission to the database, only to its folder.
func Holder(path string) (int, error) {
	var lockFile unix.Stat_t
	if err := unix.Stat(resolved(path)+".lock", &lockFile); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, fmt.Errorf("lock of database %s: %w", path, err)
	}
	text, err := os.ReadFile(locksFile)
	if err != nil {
		return 0, err
	}
	return holderOf(string(text), uint64(lockFile.Dev), lockFile.Ino), nil //nolint:unconvert // not on every architecture
}

// holderOf finds who has an flock, such as
//
//	1: FLOCK  ADVISORY  WRITE 1234 fe:01:5678 0 EOF
func holderOf(locks string, device, inode uint64) int {
	wanted := fmt.Sprintf("%02x:%02x:%d", unix.Major(device), unix.Minor(device), inode)
	for line := range strings.Lines(locks) {
		f := strings.Fields(line)
		if len(f) >= 6 && f[1] == "FLOCK" && f[5] == wanted {
			pid, _ := strconv.Atoi(f[4]) // the kernel writes a number
			return pid
		}
	}
	return 0
}
