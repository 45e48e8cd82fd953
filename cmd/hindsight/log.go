package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"hindsight/chain"
)

// logger is for the packages below: their warnings are the console's, and so is what
// they decide, which has a reason; the rest is seen with a higher verbosity.
func (c *console) logger() *slog.Logger { return slog.New(&logHandler{console: c}) }

// logHandler makes a sentence of a record.
type logHandler struct {
	console *console
	attrs   []slog.Attr
}

// Enabled implements slog.Handler. Whether an Info has a reason shows later.
func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool {
	return logLevel(l) <= h.console.level || logLevel(l) == levelInfo && h.console.level >= levelNotice
}

func logLevel(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return levelError
	case l >= slog.LevelWarn:
		return levelWarning
	case l >= slog.LevelInfo:
		return levelInfo
	}
	return levelDebug
}

// Handle implements slog.Handler.
func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	s := sentence{text: r.Message}
	for _, a := range h.attrs {
		s.add(a)
	}
	r.Attrs(func(a slog.Attr) bool {
		s.add(a)
		return true
	})
	level := logLevel(r.Level)
	kind := map[int]string{levelError: "warning", levelWarning: "warning", levelInfo: "info", levelDebug: "debug"}[level]
	switch {
	case kind == "warning":
		h.console.warnings.Add(1)
	case level == levelInfo && s.reason:
		level, kind = levelNotice, "notice"
	}
	h.console.say(level, message{Type: kind, Message: s.String()})
	return nil
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logHandler{h.console, append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

// WithGroup is not used by the packages below; a group's name says nothing here.
func (h *logHandler) WithGroup(string) slog.Handler { return h }

// sentence is a record as text: what it is about, in words where it is a volume or a
// set, and the error or reason at the end.
type sentence struct {
	text        string
	set, volume string
	details     []string
	causes      []string
	reason      bool
}

func (s *sentence) add(a slog.Attr) {
	value := a.Value.Resolve().String()
	switch a.Key {
	case "set":
		s.set = setName(value)
	case "volume":
		s.volume = value
	case "error", "reason":
		if err, ok := a.Value.Any().(error); ok && s.volume != "" {
			value = volumeCause(err)
		}
		s.causes = append(s.causes, value)
		s.reason = s.reason || a.Key == "reason"
	default:
		s.details = append(s.details, a.Key+" "+shown(value))
	}
}

func (s *sentence) String() string {
	text, details := s.text, s.details
	switch rest, volume := strings.CutPrefix(text, "volume "); {
	case volume && s.set != "" && s.volume != "":
		text = fmt.Sprintf("volume %s of %s %s", s.volume, s.set, rest)
	case strings.HasPrefix(text, "set ") && s.set != "":
		text = s.set + " " + strings.TrimPrefix(text, "set ")
	default:
		if s.volume != "" {
			details = append([]string{"volume " + s.volume}, details...)
		}
		if s.set != "" {
			details = append([]string{s.set}, details...)
		}
	}
	if len(details) > 0 {
		text += " (" + strings.Join(details, ", ") + ")"
	}
	return undouble(strings.Join(append([]string{text}, s.causes...), ": "))
}

// volumeCause is what is wrong with a volume that the sentence names already.
func volumeCause(err error) string {
	var corrupt *chain.CorruptError
	switch {
	case errors.As(err, &corrupt):
		return corrupt.Err.Error()
	case errors.Is(err, chain.ErrMissingVolume):
		return "it is missing"
	}
	return err.Error()
}

// setName is "the full of TIME" for the name that a set has in logs.
func setName(id string) string {
	kind, at, _ := strings.Cut(id, " ")
	t, err := time.Parse("20060102T150405Z", at)
	if err != nil {
		return shown(id)
	}
	return fmt.Sprintf("the %s of %s", kind, t.Format(stampLayout))
}

// undouble takes names out of an error's text that it has twice in a row, as several
// callers put them there.
func undouble(text string) string {
	var kept []string
	for part := range strings.SplitSeq(text, ": ") {
		n := len(kept)
		switch {
		case n > 0 && part != "" && (kept[n-1] == part || strings.HasSuffix(kept[n-1], " "+part)):
		case n > 0 && kept[n-1] != "" && strings.HasSuffix(part, " "+kept[n-1]):
			kept[n-1] = part
		default:
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, ": ")
}
