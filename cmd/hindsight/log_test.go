package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"hindsight/chain"
)

func TestLogSentence(t *testing.T) {
	tests := []struct {
		text string
		args []any
		want string
	}{
		{"volume is lost", []any{"set", "full 20231114T221320Z", "volume", 3, "error", &chain.CorruptError{Object: "x", Err: chain.ErrHash}},
			"warning: volume 3 of the full of 2023-11-14 22:13:20 UTC is lost: hash mismatch"},
		{"volume is lost", []any{"set", "full 20231114T221320Z", "volume", 1, "error", fmt.Errorf("x: %w", chain.ErrMissingVolume)},
			"warning: volume 1 of the full of 2023-11-14 22:13:20 UTC is lost: it is missing"},
		{"set is lost", []any{"set", "incremental 20231114T221320Z", "error", errors.New("why")},
			"warning: the incremental of 2023-11-14 22:13:20 UTC is lost: why"},
		{"superseded", []any{"set", "full 20231114T221320Z"}, "warning: superseded (the full of 2023-11-14 22:13:20 UTC)"},
		{"odd", []any{"volume", 2, "object", "a b"}, "warning: odd (volume 2, object a b)"},
	}
	for _, tt := range tests {
		var out strings.Builder
		c := &console{out: &out, level: levelNotice}
		c.logger().Warn(tt.text, tt.args...)
		if got := onlyLine(t, out.String()); got != tt.want {
			t.Errorf("said %q, want %q", got, tt.want)
		}
	}
}

// TestLogLevels: what is decided, for a reason, is said unasked; other information
// from -v5 on, details from -v8 on.
func TestLogLevels(t *testing.T) {
	for level, want := range map[int]string{
		levelWarning: "", levelNotice: "full: old\n", levelInfo: "full: old\ninfo\n", 8: "full: old\ninfo\ndetail\n",
	} {
		var out strings.Builder
		log := (&console{out: &out, level: level}).logger()
		log.Info("full", "reason", "old")
		log.Info("info")
		log.Debug("detail")
		if out.String() != want {
			t.Errorf("level %d: said %q, want %q", level, out.String(), want)
		}
	}
}

func TestUndouble(t *testing.T) {
	for text, want := range map[string]string{
		"a: get a: gone":         "get a: gone",
		"read volume a: a: gone": "read volume a: gone",
		"a: a: gone":             "a: gone",
		"a: b: a: gone":          "a: b: a: gone",
		"":                       "",
		": : x":                  ": : x",
		"x: the box: y":          "x: the box: y",
	} {
		if got := undouble(text); got != want {
			t.Errorf("undouble(%q) is %q, want %q", text, got, want)
		}
	}
}
