// Package deflate compresses one block of bytes in memory to raw DEFLATE (RFC
// 1951). It is made for blocks of some 256 KiB that are read back one by one: it
// sees a block as a whole, which a streaming compressor does not, and so makes up
// for the history that such blocks do without.
//
// Compression goes in three steps: the block is parsed into matches and the literals
// between them, whose symbols are counted as they come; what was counted is joined to
// DEFLATE blocks, as long as the cost of a new pair of codes does not pay; each is
// written with the cheapest of stored, fixed and dynamic codes. Output depends on
// input and level alone.
//
// # How it is fast
//
// What costs time in such a search is not instructions but the branches that nobody can
// foresee. So a position is not compared with the chain of earlier ones of equal hash,
// one after the other, until one is good enough. The last four (or more) of them stand
// side by side in one word; all are compared, eight bytes each, and the best is found by
// a maximum: score. What four do not find, a second table does, of the last position
// whose next seven bytes had the same hash: it is worth more than the next four.
//
// Up to level 3 there is but one position for each of two or three hashes, and there are few
// branches in the lengths of matches as well: greedy.
//
// Three loops use package unsafe, parse, advance and sequences; each states why it stays
// within bounds.
package deflate
