package main

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestConsoleText(t *testing.T) {
	var out strings.Builder
	c := &console{out: &out, level: levelNotice}
	c.warn("a\nb", errors.New("first\nsecond"))
	c.lost("plain", errors.New("gone"), nil)
	c.warn("", errors.New("about nothing"))
	c.notice("done %d", 1)
	c.logger().With("set", "full 1").Warn("odd", "name", "x\x1b[31m")
	c.logger().Info("not shown")
	c.fail("bad \x1b[31m", 1)
	want := "warning: \"a\\nb\": first; second\nlost: plain: gone\nwarning: about nothing\ndone 1\n" +
		"warning: odd (full 1, name \"x\\x1b[31m\")\nhindsight: bad ?[31m\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	if n := c.warnings.Load(); n != 4 {
		t.Errorf("%d warnings counted, want 4", n)
	}
}

func TestConsoleJSON(t *testing.T) {
	var out strings.Builder
	c := &console{out: &out, level: levelDebug, json: true}
	c.warn("caf\xe9", errors.New("unreadable"))
	c.logger().Debug("detail")
	want := []message{
		{Type: "warning", Message: "unreadable", Path: "caf\ufffd", PathB64: []byte("caf\xe9")},
		{Type: "debug", Message: "detail"},
	}
	if diff := cmp.Diff(want, decodeLines[message](t, out.String())); diff != "" {
		t.Error(diff)
	}
}

func TestQuiet(t *testing.T) {
	var out strings.Builder
	c := &console{out: &out, level: levelError}
	c.warn("a", errors.New("x"))
	c.notice("y")
	c.logger().Log(t.Context(), slog.LevelWarn, "z")
	if out.Len() > 0 {
		t.Errorf("said %q", out.String())
	}
	if n := c.warnings.Load(); n != 1 {
		t.Errorf("%d warnings counted, want 1: a log that is off is not made", n)
	}
}

// FuzzShown: whatever a name is, what is shown of it is one line that upsets no
// terminal.
func FuzzShown(f *testing.F) {
	for _, name := range []string{"plain", "", "new\nline", "\xff", "\x1b[31m", `"quoted"`, "caf\u00e9", "\u202etxt"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, text := range []string{shown(name), oneLine(name)} {
			if strings.ContainsAny(text, "\n\r\x1b\x00") || !utf8.ValidString(text) {
				t.Errorf("%q is shown as %q", name, text)
			}
		}
		path, raw := jsonPath(name)
		if back := string(raw); raw == nil && path != name || raw != nil && back != name {
			t.Errorf("%q does not come back from JSON: %q, %q", name, path, raw)
		}
	})
}
