package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// progressState is how far a run has come. Totals are 0 where nobody knows them.
type progressState struct {
	Files        int64 `json:"files"`
	Bytes        int64 `json:"bytes"` // of content
	Stored       int64 `json:"stored"`
	TotalStored  int64 `json:"total_stored,omitempty"`
	Volumes      int64 `json:"volumes,omitempty"`
	TotalVolumes int64 `json:"total_volumes,omitempty"`
}

// progressEvent is what a sink shows.
type progressEvent struct {
	Type string `json:"type"` // progress
	progressState
	Rate    float64 `json:"bytes_per_second"` // of content
	Seconds float64 `json:"seconds"`
	ETA     float64 `json:"eta_seconds,omitempty"`
}

// sink shows events: on a terminal, as lines of text, or as lines of JSON.
type sink interface {
	show(progressEvent)
	close()
}

// How often the sinks get an event.
const (
	blockPeriod = 200 * time.Millisecond
	linePeriod  = 30 * time.Second
	jsonPeriod  = time.Second
)

// watch shows the progress of what is being done until stop is called, which erases
// what should not stay.
func (j *job) watch(ctx context.Context, verb string, state func() progressState) (stop func()) {
	s, period := j.sink(verb)
	if s == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer s.close()
		tick := time.NewTicker(period)
		defer tick.Stop()
		m := meter{start: time.Now()}
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				st := state()
				if st.Stored == 0 {
					m.idle = now
				}
				if st.Files+st.Bytes+st.Stored > 0 { // a passphrase may be asked for before
					s.show(m.event(st, now))
				}
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// sink chooses how progress is shown; nil: not at all.
func (j *job) sink(verb string) (sink, time.Duration) {
	forced := j.opt.progress == "on"
	switch {
	case j.opt.progress == "off", j.opt.quiet && !forced:
		return nil, 0
	case j.opt.json && forced:
		return jsonSink{j.console}, jsonPeriod
	case j.opt.json:
		return jsonSink{j.console}, linePeriod
	case j.env.StderrTerminal:
		return &blockSink{console: j.console, verb: verb}, blockPeriod
	}
	return lineSink{j.console, verb}, linePeriod
}

// meter turns states into events. The rate is that of the last ten seconds or so; the
// time left goes by all of the run since the first stored byte came, as these may be
// counted a volume at a time: what there is to read is known by then.
type meter struct {
	start   time.Time
	idle    time.Time // when nothing had been read yet; zero: not known
	samples []sample  // at least a second apart, the oldest about rateSpan old
}

type sample struct {
	at    time.Time
	bytes int64
}

const rateSpan = 10 * time.Second

func (m *meter) event(st progressState, now time.Time) progressEvent {
	for len(m.samples) > 1 && now.Sub(m.samples[1].at) >= rateSpan {
		m.samples = m.samples[1:]
	}
	from := sample{at: m.start}
	if len(m.samples) > 0 {
		from = m.samples[0]
	}
	if n := len(m.samples); n == 0 || now.Sub(m.samples[n-1].at) >= time.Second {
		m.samples = append(m.samples, sample{now, st.Bytes})
	}
	e := progressEvent{Type: "progress", progressState: st, Seconds: now.Sub(m.start).Seconds()}
	if span := now.Sub(from.at).Seconds(); span > 0 {
		e.Rate = float64(st.Bytes-from.bytes) / span
	}
	if left := st.TotalStored - st.Stored; left > 0 && st.Stored > 0 {
		since := m.start
		if m.idle.After(since) {
			since = m.idle
		}
		e.ETA = now.Sub(since).Seconds() * float64(left) / float64(st.Stored)
	}
	return e
}

// counts says how much was done, for people.
func (e progressEvent) counts() string {
	text := fmt.Sprintf("%s files, %s", humanize.Comma(e.Files), ibytes(e.Bytes))
	if e.TotalStored == 0 {
		return text + fmt.Sprintf(", %s stored", ibytes(e.Stored))
	}
	return text + fmt.Sprintf(", volume %d of %d", e.Volumes, e.TotalVolumes)
}

// pace says how fast, and how long it will take yet.
func (e progressEvent) pace() string {
	text := ibytes(int64(e.Rate)) + "/s"
	if e.ETA > 0 {
		text += ", " + time.Duration(e.ETA*float64(time.Second)).Round(time.Second).String() + " left"
	}
	return text
}

func ibytes(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// lineSink writes a line of text.
type lineSink struct {
	console *console
	verb    string
}

func (s lineSink) show(e progressEvent) {
	s.console.notice("%s: %s, %s", s.verb, e.counts(), e.pace())
}
func (lineSink) close() {}

// jsonSink writes an object.
type jsonSink struct{ console *console }

func (s jsonSink) show(e progressEvent) { s.console.object(e) }
func (jsonSink) close()                 {}

// blockSink draws two lines on a terminal and erases them at the end.
type blockSink struct {
	console  *console
	verb     string
	progress *mpb.Progress
	bar      *mpb.Bar
	event    atomic.Pointer[progressEvent] // the newest, for the drawing goroutine
}

func (s *blockSink) show(e progressEvent) {
	s.event.Store(&e)
	if s.progress == nil {
		s.begin(e)
	}
	if e.TotalStored > 0 {
		s.bar.SetCurrent(e.Stored)
	}
}

// begin starts to draw. From then on lines of the console go above the block.
func (s *blockSink) begin(e progressEvent) {
	out, width := canvas(s.console.out)
	s.progress = mpb.New(mpb.WithOutput(out), mpb.WithAutoRefresh(), mpb.WithWidth(width))
	details := mpb.BarFillerFunc(func(w io.Writer, _ decor.Statistics) error {
		_, err := fmt.Fprintln(w, "  "+s.event.Load().counts())
		return err
	})
	pace := decor.Any(func(decor.Statistics) string { return " " + s.event.Load().pace() })
	options := []mpb.BarOption{
		mpb.PrependDecorators(decor.Name(s.verb + " ")), mpb.AppendDecorators(pace),
		mpb.BarExtender(details, false), mpb.BarRemoveOnComplete(),
	}
	if e.TotalStored > 0 { // one more, so that only the end of the run completes it
		s.bar = s.progress.New(e.TotalStored+1, mpb.BarStyle().Rbound("]").Lbound("["), options...)
	} else {
		s.bar = s.progress.New(0, mpb.NopStyle(), options...)
	}
	s.console.divert(s.progress)
}

// canvas is what to draw on and the width in columns to ask for. A terminal that
// tells no size would get nothing: it is taken for one of 80 columns.
func canvas(out io.Writer) (io.Writer, int) {
	if f, ok := out.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width <= 0 {
			return struct{ io.Writer }{out}, 80
		}
	}
	return out, 60
}

func (s *blockSink) close() {
	if s.progress == nil {
		return
	}
	s.console.divert(nil)
	s.bar.Abort(true)
	s.progress.Wait()
}
