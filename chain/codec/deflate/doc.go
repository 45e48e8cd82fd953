// Package deflate compresses one block of bytes in memory to raw DEFLATE (RFC
// 1951). It is made for blocks of some 256 KiB that are read back one by one: it
// sees a block as a whole, which a streaming compressor does not, and so makes up
// for the history that such blocks do without.
//
// Compression goes in three steps: hash chains and lazy evaluation turn the block
// into tokens; the tokens are cut into DEFLATE blocks where the cost of a new pair
// of codes pays; each is written with the cheapest of stored, fixed and dynamic
// codes. Output depends on input and level alone.
package deflate
