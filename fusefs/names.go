package fusefs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"hindsight/chain/naming"
)

// DefaultTemplate is how directories are named by default, in Go's notation of
// layouts: without colons, which programs take for something else.
const DefaultTemplate = "2006-01-02T150405Z"

// Names of our own in the root.
const (
	latestName   = "latest"
	versionsName = ".versions"
)

// dated is a snapshot and its name in the root.
type dated struct {
	Snapshot
	name string
}

// roster is the list of snapshots at one moment, by time. It is immutable.
type roster struct {
	list     []*dated
	byName   map[string]*dated
	byNumber map[uint32]*dated
	gone     map[uint32]Snapshot // that were listed once
	changed  time.Time           // when the list became as it is
}

// newRoster names snapshots. Where a template gives one name to several, the later
// ones get a number behind it.
func newRoster(snapshots []Snapshot, template string, changed time.Time) *roster {
	r := &roster{
		byName:   make(map[string]*dated, len(snapshots)),
		byNumber: make(map[uint32]*dated, len(snapshots)),
		changed:  changed,
	}
	snapshots = slices.SortedFunc(slices.Values(snapshots), compareSnapshots)
	for _, s := range snapshots {
		d := &dated{s, s.Time.Time().Format(template)}
		for n, plain := 2, d.name; r.byName[d.name] != nil; n++ {
			d.name = fmt.Sprintf("%s-%d", plain, n)
		}
		r.list = append(r.list, d)
		r.byName[d.name] = d
		r.byNumber[s.Number] = d
	}
	return r
}

func compareSnapshots(a, b Snapshot) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Number, b.Number))
}

// newest is the last snapshot by time, nil if there is none.
func (r *roster) newest() *dated {
	if len(r.list) == 0 {
		return nil
	}
	return r.list[len(r.list)-1]
}

// same reports whether two rosters show the same.
func (r *roster) same(o *roster) bool {
	return slices.EqualFunc(r.list, o.list, func(a, b *dated) bool { return a.name == b.name && a.Snapshot == b.Snapshot })
}

// CheckTemplate says what is wrong with a template for the names of snapshots, in
// Go's notation of layouts ("2006-01-02T150405Z"). Times are in UTC.
func CheckTemplate(template string) error {
	a := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC).Format(template)
	b := time.Date(2019, 12, 28, 20, 54, 43, 0, time.UTC).Format(template)
	switch {
	case a == b:
		return fmt.Errorf("snapshot template %q has no time in it: write it as the moment 2006-01-02 15:04:05 would look", template)
	case strings.ContainsAny(a+b, "/\x00"), strings.HasPrefix(a, "."), len(a) > 200:
		return fmt.Errorf("snapshot template %q makes no names for directories", template)
	}
	return nil
}

// errNoTime says that a name in the root means no snapshot.
var errNoTime = errors.New("no such time")

// resolve finds the snapshot that a name in the root means if it is not a
// snapshot's own: the newest for latest, or what would be restored for one of
// duplicity's expressions of time, or for a moment in the form of the template. What
// lies before the first backup has none.
func (f *filesystem) resolve(name string) (*dated, error) {
	r := f.roster.Load()
	if name == latestName {
		if d := r.newest(); d != nil {
			return d, nil
		}
		return nil, errNoTime
	}
	t, err := naming.ParseTime(name, f.opt.Now(), f.opt.Location, "")
	if err != nil {
		moment, bad := time.Parse(f.opt.Template, name)
		if bad != nil {
			return nil, errNoTime
		}
		t = naming.TimeOf(moment)
	}
	s, ok := f.trees.At(t)
	if !ok || s.Time > t {
		return nil, errNoTime
	}
	if d := r.byNumber[s.Number]; d != nil {
		return d, nil
	}
	return nil, errNoTime
}

// remember takes over where snapshots were in the list that are in it no more, for
// readdir to go on behind them.
func (r *roster) remember(old *roster) {
	r.gone = make(map[uint32]Snapshot, len(old.gone))
	for number, s := range old.gone {
		r.gone[number] = s
	}
	for number, d := range old.byNumber {
		r.gone[number] = d.Snapshot
	}
	for number := range r.byNumber {
		delete(r.gone, number)
	}
}

// after is the part of the list behind a snapshot, which may have vanished.
func (r *roster) after(number uint32) []*dated {
	s := r.gone[number]
	if d := r.byNumber[number]; d != nil {
		s = d.Snapshot
	}
	i, _ := slices.BinarySearchFunc(r.list, s, func(d *dated, s Snapshot) int {
		return cmp.Or(compareSnapshots(d.Snapshot, s), -1)
	})
	return r.list[i:]
}

// maxAliases bounds the names that the kernel may believe for a while.
const maxAliases = 256

// aliases are the names by time that the kernel was told to believe for a while, since
// the list of snapshots changed last.
type aliases struct {
	mu    sync.Mutex
	names map[string]struct{}
}

// add notes a name, and reports whether there was room.
func (a *aliases) add(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.names) == maxAliases {
		return false
	}
	if a.names == nil {
		a.names = make(map[string]struct{})
	}
	a.names[name] = struct{}{}
	return true
}

// take forgets the names and returns them.
func (a *aliases) take() map[string]struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	names := a.names
	a.names = nil
	return names
}
