package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"hindsight/chain/extract"
)

// Levels of --verbosity (duplicity-format.md §9).
const (
	levelError   = 0
	levelWarning = 2
	levelNotice  = 4
	levelInfo    = 5 // and more
	levelDebug   = 8 // and more
)

// console is standard error: one line for everything that is said, as text or, with
// --json, as an object. It is safe for concurrent use.
type console struct {
	mu    sync.Mutex
	out   io.Writer
	above io.Writer // takes the lines while a progress block is drawn; else nil
	level int
	json  bool

	warnings atomic.Int64
}

// message is a line as an object. Its fields are documented at --json.
type message struct {
	Type    string `json:"type"` // warning, lost, not restored, notice, info, debug, error
	Message string `json:"message"`
	Path    string `json:"path,omitempty"`
	PathB64 []byte `json:"path_b64,omitempty"` // where the path is not UTF-8
	Code    int    `json:"exit_code,omitempty"`

	// Of a lost file, where that is known: bytes of its content, and which are lost.
	Size   *int64          `json:"size,omitempty"`
	Ranges []extract.Range `json:"ranges,omitempty"`
}

// say writes one message if the verbosity asks for it.
func (c *console) say(level int, m message) {
	if level > c.level {
		return
	}
	if c.json {
		c.object(m)
		return
	}
	var b strings.Builder
	switch m.Type {
	case "warning", "lost", "not restored":
		b.WriteString(m.Type + ": ")
	case "error":
		b.WriteString("hindsight: ")
	}
	if m.Path != "" {
		b.WriteString(shown(m.Path) + ": ")
	}
	b.WriteString(oneLine(m.Message))
	c.line(b.String())
}

// object writes v as a line of JSON.
func (c *console) object(v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("hindsight: message %T: %v", v, err))
	}
	c.line(string(data))
}

func (c *console) line(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.out
	if c.above != nil {
		w = c.above
	}
	fmt.Fprintln(w, text) // nobody is left to tell if this fails
}

// divert sends the lines to w, or back to standard error if it is nil.
func (c *console) divert(w io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.above = w
}

func (c *console) notice(format string, args ...any) {
	c.say(levelNotice, message{Type: "notice", Message: fmt.Sprintf(format, args...)})
}

// warn tells of something that is not as it should be, path "" being about no path,
// and counts it.
func (c *console) warn(path string, err error) { c.count("warning", path, err) }

// lost tells of a path that could not be restored.
// lost also says, to programs, which bytes of a file are lost; damage may be nil.
func (c *console) lost(path string, err error, damage *extract.DamageError) {
	m := message{Type: "lost", Message: err.Error()}
	if damage != nil {
		m.Size, m.Ranges = &damage.Size, damage.Ranges
	}
	c.counted(m, path)
}

func (c *console) count(kind, path string, err error) {
	c.counted(message{Type: kind, Message: err.Error()}, path)
}

func (c *console) counted(m message, path string) {
	c.warnings.Add(1)
	m.Path, m.PathB64 = jsonPath(path)
	if !c.json {
		m.Path = path
	}
	c.say(levelWarning, m)
}

func (c *console) fail(text string, code int) {
	c.say(levelError, message{Type: "error", Message: text, Code: code})
}

// jsonPath is a path for JSON: as it is if it is UTF-8, else readable and with its
// bytes beside it.
func jsonPath(path string) (text string, raw []byte) {
	if utf8.ValidString(path) {
		return path, nil
	}
	return strings.ToValidUTF8(path, string(utf8.RuneError)), []byte(path)
}

// shown is a name as it may be shown: quoted if it has bytes that would upset a
// terminal or the end of the line.
func shown(name string) string {
	odd := func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
	if strings.ContainsFunc(name, odd) || strings.HasPrefix(name, `"`) {
		return strconv.Quote(name)
	}
	return name
}

// oneLine makes one line of an error's text, which may hold anything.
func oneLine(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
