package pgp

// periodic is how many chunks must repeat, each a period after an equal one, to be
// taken for the pattern of a run: fewer could hide a longer pattern, such as that of
// gpg 2.4, 1 KiB twice, 4 KiB, 2 KiB.
const periodic = 8

// runs finds the runs of a sequence of chunks, so that what repeats takes little
// memory.
type runs struct {
	done  []Run
	tail  []string // length octets of chunks not in done yet, fewer than 2 * MaxChunks
	going bool     // the tail begins one more repetition of the last run
	over  bool     // there are too many
}

// add takes in the length octets of the next chunk.
func (r *runs) add(octets string) {
	if r.over {
		return
	}
	r.tail = append(r.tail, octets)
	if r.going = r.going && r.repeats(); r.going {
		return
	}
	for period := 1; period <= MaxChunks; period++ {
		seen := max(2*period, (periodic+period-1)/period*period)
		if seen <= len(r.tail) && repeated(r.tail[len(r.tail)-seen:], period) {
			r.flush(len(r.tail) - seen)
			r.push(r.tail[:period], int64(seen/period))
			r.tail, r.going = r.tail[:0], true
			return
		}
	}
	if len(r.tail) == 2*MaxChunks {
		r.flush(MaxChunks)
	}
}

// repeated reports whether each chunk equals that a period before it.
func repeated(chunks []string, period int) bool {
	for i := period; i < len(chunks); i++ {
		if chunks[i] != chunks[i-period] {
			return false
		}
	}
	return true
}

// repeats sees whether the tail goes on as the last run does.
func (r *runs) repeats() bool {
	last := &r.done[len(r.done)-1]
	at := 0
	for _, c := range r.tail[:len(r.tail)-1] {
		at += len(c)
	}
	next := r.tail[len(r.tail)-1]
	end := at + len(next)
	if end > len(last.Lengths) || string(last.Lengths[at:end]) != next {
		return false
	}
	if end == len(last.Lengths) {
		last.Count++
		r.tail = r.tail[:0]
	}
	return true
}

// flush makes runs of the first n chunks of the tail.
func (r *runs) flush(n int) {
	for n > 0 {
		k := min(n, MaxChunks)
		r.push(r.tail[:k], 1)
		r.tail = append(r.tail[:0], r.tail[k:]...)
		n -= k
	}
}

func (r *runs) push(chunks []string, count int64) {
	if len(r.done) >= MaxRuns-2 { // what is left at the end takes two
		r.over = true
	}
	run := Run{Count: count}
	for _, c := range chunks {
		run.Lengths = append(run.Lengths, c...)
	}
	r.done = append(r.done, run)
}

// end returns all runs, nil if there are too many. Nothing may be added after it.
func (r *runs) end() []Run {
	if r.over {
		return nil
	}
	r.flush(len(r.tail))
	return r.done
}
