package s3store

import (
	"context"
	"net"
	"time"
)

// SetCopyLimit makes copies of more than limit bytes go in parts of part bytes.
func (s *Store) SetCopyLimit(limit, part int64) { s.copyLimit, s.copyPart = limit, part }

// DialTo connects to addr whatever the host's name in a request.
func (s *Store) DialTo(addr string) {
	s.transport.Proxy = nil
	s.transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, addr)
	}
}

// Pacer spaces requests out.
type Pacer struct{ p *pacer }

func NewPacer() Pacer                                    { return Pacer{newPacer()} }
func (p Pacer) Wait(ctx context.Context) error           { return p.p.wait(ctx) }
func (p Pacer) Observe(throttled bool, at time.Time)     { p.p.observe(throttled, at) }
func (p Pacer) Gap() time.Duration                       { return p.p.gap }
func ContentRange(h string) (first, size int64, ok bool) { return contentRange(h) }
