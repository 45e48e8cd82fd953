package fusefs

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// BusyError says that a mount cannot end because somebody is in it.
type BusyError struct {
	Dir     string
	Holders []Holder // those that this user may see
}

// Holder is a process, or another mount, that keeps a directory busy.
type Holder struct {
	PID     int    // 0: a mount
	Command string // its name
	What    string // how: "working directory", "root directory", "program", "open file", "memory map", "mounted"
	Path    string
}

func (h Holder) String() string {
	if h.PID == 0 {
		return fmt.Sprintf("a mount on %s", h.Path)
	}
	return fmt.Sprintf("%s (pid %d, %s %s)", h.Command, h.PID, h.What, h.Path)
}

// maxNamed is how many holders an error names.
const maxNamed = 5

func (e *BusyError) Error() string {
	var who []string
	for _, h := range e.Holders[:min(len(e.Holders), maxNamed)] {
		who = append(who, h.String())
	}
	if more := len(e.Holders) - len(who); more > 0 {
		who = append(who, fmt.Sprintf("%d more", more))
	}
	if len(who) == 0 {
		who = append(who, "a process of another user")
	}
	return fmt.Sprintf("%s is in use by %s", e.Dir, strings.Join(who, ", "))
}

// findHolders looks through /proc for who is in a directory, each process once. Links
// are read but not followed: that could wait for the mount itself.
func findHolders(dir string) []Holder {
	holders := mountsBelow(dir)
	procs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is sound
	for _, proc := range procs {
		pid, err := strconv.Atoi(filepath.Base(proc))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if what, path := holds(proc, dir); what != "" {
			name, _ := os.ReadFile(filepath.Join(proc, "comm")) // it may just have ended
			holders = append(holders, Holder{pid, strings.TrimSpace(string(name)), what, path})
		}
	}
	return holders
}

// within reports whether a path is dir or below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// holds says how a process is in dir; "" if it is not, or nobody may know.
func holds(proc, dir string) (what, path string) {
	for _, link := range [][2]string{{"cwd", "working directory"}, {"root", "root directory"}, {"exe", "program"}} {
		if to, err := os.Readlink(filepath.Join(proc, link[0])); err == nil && within(to, dir) {
			return link[1], to
		}
	}
	fds, _ := filepath.Glob(filepath.Join(proc, "fd", "*"))
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && within(to, dir) {
			return "open file", to
		}
	}
	f, err := os.Open(filepath.Join(proc, "maps"))
	if err != nil {
		return "", ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if at := strings.IndexByte(s.Text(), '/'); at >= 0 && within(s.Text()[at:], dir) {
			return "memory map", s.Text()[at:]
		}
	}
	return "", ""
}

// mountsBelow lists what is mounted below dir.
func mountsBelow(dir string) (holders []Holder) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		if at := unescape(fields[4]); at != dir && within(at, dir) {
			holders = append(holders, Holder{Command: "mount", What: "mounted", Path: at})
		}
	}
	return holders
}

// unescape undoes the octal escapes of blanks and backslashes in the mount table.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
