package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hindsight/chain/treetest"
)

// TestMeter feeds a meter with a run of even speed that then stops.
func TestMeter(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	m := meter{start: start}
	st := progressState{TotalStored: 10_000}
	var e progressEvent
	for s := range 60 {
		st.Stored += 100
		st.Bytes += 300
		e = m.event(st, start.Add(time.Duration(s+1)*time.Second))
	}
	if e.Rate != 300 || e.ETA != 40 || e.Seconds != 60 {
		t.Errorf("rate %v, ETA %v after %v s; want 300, 40, 60", e.Rate, e.ETA, e.Seconds)
	}
	for s := range 20 {
		e = m.event(st, start.Add(time.Duration(61+s)*time.Second))
	}
	if want := 80.0 * 4000 / 6000; e.Rate != 0 || e.ETA != want {
		t.Errorf("rate %v, ETA %v after a stop of 20 s; want 0, %v", e.Rate, e.ETA, want)
	}
	m = meter{start: start, idle: start.Add(50 * time.Second)} // looked at what was there
	if e = m.event(st, start.Add(60*time.Second)); e.ETA != 10.0*4000/6000 {
		t.Errorf("ETA %v when the first byte came after 50 of 60 s", e.ETA)
	}
	if n := len(m.samples); n > 12 {
		t.Errorf("%d samples are kept", n)
	}
}

func TestProgressText(t *testing.T) {
	m := meter{start: time.Unix(0, 0)}
	e := m.event(progressState{Files: 1234, Bytes: 5 << 20, Stored: 1 << 20, TotalStored: 4 << 20, Volumes: 1, TotalVolumes: 4}, time.Unix(1, 0))
	if got, want := e.counts()+"; "+e.pace(), "1,234 files, 5.0 MiB, volume 1 of 4; 5.0 MiB/s, 3s left"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	e = m.event(progressState{Files: 1, Bytes: 1 << 10, Stored: 100}, time.Unix(2, 0))
	if got, want := e.counts(), "1 files, 1.0 KiB, 100 B stored"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// lockedBuffer is written by the drawing goroutine and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestBlock draws on a terminal that is none: the block appears, a warning goes above
// it, and afterwards lines go where they went before.
func TestBlock(t *testing.T) {
	for name, total := range map[string]int64{"known total": 1 << 20, "unknown total": 0} {
		t.Run(name, func(t *testing.T) {
			out := &lockedBuffer{}
			c := &console{out: out, level: levelNotice}
			j := &job{env: Env{StderrTerminal: true}, opt: &common{progress: "auto"}, console: c}
			stop := j.watch(context.Background(), "restoring", func() progressState {
				return progressState{Files: 7, Bytes: 1 << 10, Stored: 1 << 19, TotalStored: total}
			})
			waitFor(t, out, "7 files")
			c.warn("a", errors.New("odd"))
			waitFor(t, out, "warning: a: odd\n")
			stop()
			c.notice("done")
			if !strings.HasSuffix(out.String(), "done\n") || c.above != nil {
				t.Errorf("the last line is not the last: %q", out.String())
			}
		})
	}
}

func waitFor(t *testing.T, out *lockedBuffer, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if strings.Contains(out.String(), text) {
			return
		}
	}
	t.Fatalf("%q did not appear in %q", text, out.String())
}

func TestSinkChoice(t *testing.T) {
	tests := []struct {
		opt      common
		terminal bool
		want     string
	}{
		{common{progress: "auto"}, true, "block"},
		{common{progress: "auto"}, false, "line"},
		{common{progress: "on", quiet: true}, false, "line"},
		{common{progress: "auto", quiet: true}, true, "none"},
		{common{progress: "off"}, true, "none"},
		{common{progress: "auto", json: true}, true, "json"},
	}
	for _, tt := range tests {
		j := &job{env: Env{StderrTerminal: tt.terminal}, opt: &tt.opt, console: &console{}}
		s, _ := j.sink("x")
		got := "none"
		switch s.(type) {
		case *blockSink:
			got = "block"
		case lineSink:
			got = "line"
		case jsonSink:
			got = "json"
		}
		if got != tt.want {
			t.Errorf("%+v: %s, want %s", tt, got, tt.want)
		}
	}
}

func TestSinkLines(t *testing.T) {
	var out strings.Builder
	c := &console{out: &out, level: levelNotice}
	e := progressEvent{Type: "progress", progressState: progressState{Files: 2, Bytes: 2048, Stored: 1}, Rate: 1024}
	lineSink{c, "backing up"}.show(e)
	jsonSink{c}.show(e)
	want := "backing up: 2 files, 2.0 KiB, 1 B stored, 1.0 KiB/s\n" +
		`{"type":"progress","files":2,"bytes":2048,"stored":1,"bytes_per_second":1024,"seconds":0}` + "\n"
	if out.String() != want {
		t.Errorf("got %s, want %s", out.String(), want)
	}
}

func TestStatSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 1: "1 byte", 1023: "1023 bytes", 1024: "1.00 KB", 3004099: "2.86 MB", 114472950: "109 MB", 25472924: "24.3 MB", 1 << 50: "1024 TB",
	} {
		if got := statSize(n); got != want {
			t.Errorf("size %d is %q, want %q", n, got, want)
		}
	}
	if got, want := statDuration(3723450*time.Millisecond), "1 hour 2 minutes 3.45 seconds"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestCanvas draws on a terminal that tells no size as if it had 80 columns.
func TestCanvas(t *testing.T) {
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		treetest.Missing(t, "no pseudo terminal: "+err.Error())
	}
	defer pty.Close()
	if out, width := canvas(pty); out == io.Writer(pty) || width != 80 {
		t.Errorf("without a size: width %d, the terminal itself %v", width, out == io.Writer(pty))
	}
	if err := unix.IoctlSetWinsize(int(pty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		t.Fatal(err)
	}
	if out, _ := canvas(pty); out != io.Writer(pty) {
		t.Error("a terminal with a size is not drawn on")
	}
}
