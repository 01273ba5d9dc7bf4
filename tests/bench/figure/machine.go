package figure

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine describes where and when the figures were measured, for the table.
func Machine(now time.Time) string {
	return fmt.Sprintf("%s, %d x %s, Linux %s, %s", now.Format(time.DateOnly), runtime.NumCPU(), processor(), kernel(), runtime.Version())
}

// processor is the name that the kernel tells.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // empty: not known
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "?"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// Disk names the kind of file system below dir, since what is made durable is
// as fast as its disk.
func Disk(dir string) string {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return "?"
	}
	for name, magic := range map[string]int64{
		"ext4": unix.EXT4_SUPER_MAGIC, "tmpfs": unix.TMPFS_MAGIC, "xfs": unix.XFS_SUPER_MAGIC,
		"btrfs": unix.BTRFS_SUPER_MAGIC, "overlay": unix.OVERLAYFS_SUPER_MAGIC, "9p": unix.V9FS_MAGIC,
	} {
		if s.Type == magic {
			return name
		}
	}
	return fmt.Sprintf("file system %#x", s.Type)
}
