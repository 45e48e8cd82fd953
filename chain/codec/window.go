package codec

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"hindsight/chain/inflate"
)

// packers and unpackers of windows. They are of zstd, which is far quicker than
// deflate and loses nothing in size on so few bytes.
var (
	packers = sync.Pool{New: func() any {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(inflate.WindowSize),
			zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(fmt.Sprintf("codec: zstd encoder: %v", err))
		}
		return e
	}}
	unpackers = sync.Pool{New: func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(inflate.WindowSize), zstd.WithDecoderMaxWindow(inflate.WindowSize))
		if err != nil {
			panic(fmt.Sprintf("codec: zstd decoder: %v", err))
		}
		return d
	}}
)

// packWindow compresses a window, of WindowSize bytes at most.
func packWindow(window []byte) []byte {
	if len(window) == 0 {
		return nil
	}
	e := packers.Get().(*zstd.Encoder)
	defer packers.Put(e)
	packed := e.EncodeAll(window, nil)
	return append([]byte(nil), packed...) // without the room that was made for the worst case
}

// unpackWindow returns what packWindow was given.
func unpackWindow(packed []byte) ([]byte, error) {
	if len(packed) == 0 {
		return nil, nil
	}
	if len(packed) > MaxWindow {
		return nil, fmt.Errorf("%w: window of %d stored bytes", errBlock, len(packed))
	}
	d := unpackers.Get().(*zstd.Decoder)
	defer unpackers.Put(d)
	window, err := d.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: window: %w", errBlock, err)
	}
	if len(window) > inflate.WindowSize {
		return nil, fmt.Errorf("%w: window of %d bytes", errBlock, len(window))
	}
	return window, nil
}
