package deflate

// CodeSizes are the codeword lengths that counts get.
func CodeSizes(counts []uint32, limit int) []uint8 {
	var b builder
	var c code
	b.build(&c, counts, limit)
	return c.size[:c.n]
}
