package librsync

import "math"

const (
	// MaxBlockLen is the longest block, in bytes, that is written or read.
	MaxBlockLen = 1 << 30

	minBlockLen = 512
	headerLen   = 12 // of a signature
	strongLen   = 8  // what duplicity keeps of the MD4 digest
)

// BlockLen is the block length, in bytes, that duplicity 3.1.0 gives a file of size
// bytes: its square root, rounded up to a multiple of 512 (duplicity-format.md
// §4.3). maxBlock, itself rounded up so, is the most it may be; 0 means no such
// limit. The result is a multiple of 512 in 512..MaxBlockLen.
func BlockLen(size int64, maxBlock int) int {
	limit := MaxBlockLen
	if maxBlock > 0 && maxBlock < MaxBlockLen {
		limit = roundUp(maxBlock)
	}
	return min(max(minBlockLen, roundUp(squareRoot(size))), limit)
}

func roundUp(n int) int {
	return (n + minBlockLen - 1) / minBlockLen * minBlockLen
}

// squareRoot is the whole part of the square root of n, 0 for a negative n, and at
// most MaxBlockLen, which keeps the products below in range.
func squareRoot(n int64) int {
	if n <= 0 {
		return 0
	}
	if n >= MaxBlockLen*MaxBlockLen {
		return MaxBlockLen
	}
	r := int64(math.Sqrt(float64(n)))
	for r*r > n {
		r--
	}
	for (r+1)*(r+1) <= n {
		r++
	}
	return int(r)
}

// SignatureSize is how many bytes SignatureWriter writes for a file of size bytes
// (at least 0) in blocks of blockLen bytes (at least 1).
func SignatureSize(size int64, blockLen int) int64 {
	blocks := size / int64(blockLen)
	if size%int64(blockLen) != 0 {
		blocks++
	}
	return headerLen + blocks*(4+strongLen)
}
