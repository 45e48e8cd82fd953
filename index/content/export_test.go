package content

import "context"

// SetLimit makes the budget smaller than New takes it, for files that are small, too.
func (c *Cache) SetLimit(bytes int64) { c.limit = bytes }

const ExtentCost = extentCost

// FetchAhead fetches what there is room for of the volume that a file begins in, and
// returns how many blocks that is, and how many the volume has.
func (c *Cache) FetchAhead(ctx context.Context, f *File) (n, all int, err error) {
	key := volumeKey{f.extents[0].Set, f.extents[0].Volume}
	r, err := c.open(ctx, key)
	if err != nil {
		return 0, 0, err
	}
	all = len(r.Table().Blocks)
	_, n = c.need(key, r, 0, all-1, true)
	return n, all, nil
}
