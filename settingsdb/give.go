package settingsdb

import (
	"os"
	"syscall"
)

// give has a file that root makes belong to whoever its folder belongs to, as SQLite does
// with the files beside a database: a node that runs as a user of its own must be able to
// use what a command of root's has left.
func give(file *os.File, folder string) {
	if os.Geteuid() != 0 {
		return
	}
	info, err := os.Stat(folder)
	if err != nil {
		return
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 && info.Mode().Perm()&0o022 == 0 {
		_ = file.Chown(int(owner.Uid), int(owner.Gid)) // else the node says that it may not read it
	}
}
