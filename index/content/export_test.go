package content

// SetLimit makes the budget smaller than New takes it, for files that are small, too.
func (c *Cache) SetLimit(bytes int64) { c.limit = bytes }

const ExtentCost = extentCost
