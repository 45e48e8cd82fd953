package librsync

// The sums, for tests that compare them with slow ones.
var (
	Rollsum        = rollsum
	RabinKarp      = rabinKarp
	RabinKarpPower = rabinKarpPower
	MD4            = md4Sum
	MD4Pair        = md4Sum2
)

const MaxLiteral = maxLiteral

// GrowForward and GrowBackward run the search for a short block without a signature.
var (
	GrowForward  = growForward
	GrowBackward = growBackward
)
