package difftar

// Limits that tests go to.
const (
	MaxExtended = maxExtended
	BlockSize   = blockSize
)
