package s3store

// SetCopyLimit makes copies of more than limit bytes go in parts of part bytes.
func (s *Store) SetCopyLimit(limit, part int64) { s.copyLimit, s.copyPart = limit, part }
