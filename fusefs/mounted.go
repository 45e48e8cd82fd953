package fusefs

import (
	"os"
	"path/filepath"
	"strings"
)

// Mounted reports whether a mount of this package is on a directory of that name, and
// what it is a mount of (Options.Source).
func Mounted(dir string) (source string, ok bool) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", false
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(table)) {
		// 36 35 98:0 ROOT MOUNTPOINT OPTIONS... - TYPE SOURCE OPTIONS (proc_pid_mountinfo(5))
		place, what, _ := strings.Cut(line, " - ")
		at, of := strings.Fields(place), strings.Fields(what)
		if len(at) < 5 || len(of) < 2 || unescape(at[4]) != dir {
			continue
		}
		source, ok = unescape(of[1]), of[0] == "fuse."+name // of several the last is on top
	}
	return source, ok
}
