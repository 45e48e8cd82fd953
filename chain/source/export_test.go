package source

// Names parses raw directory records and returns the sorted names.
func Names(raw []byte) ([]string, error) {
	l := &nameList{}
	err := l.parse(raw)
	l.sort()
	var names []string
	for i := range l.len() {
		names = append(names, string(l.get(i)))
	}
	return names, err
}

// Exported for tests.
const (
	Chunk   = chunk
	MaxIdle = maxIdle
)

// Idle is the number of directories the tree keeps open unused.
func (t *Tree) Idle() int {
	t.handles.mu.Lock()
	defer t.handles.mu.Unlock()
	return t.handles.nidle
}

// CollectXattrs gathers attributes by way of two system calls.
var CollectXattrs = collectXattrs
