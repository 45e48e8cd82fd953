package naming

import "time"

// Time is a moment in whole seconds since 1970-01-01T00:00:00Z, leap seconds not
// counted. It is what names can say of a moment, and 0 stands for none.
type Time int64

// stampLayout is how names spell a moment, always in UTC (duplicity-format.md §1.2).
const stampLayout = "20060102T150405Z"

// Moments that the spellings of §1.2 can express: 1901 to 2099, both whole.
const (
	minTime Time = -2177452800 // 1901-01-01T00:00:00Z
	maxTime Time = 4102444799  // 2099-12-31T23:59:59Z
)

// TimeOf returns the second that t lies in.
func TimeOf(t time.Time) Time { return Time(t.Unix()) }

// Time returns t as a time in UTC.
func (t Time) Time() time.Time { return time.Unix(int64(t), 0).UTC() }

// String returns the stamp of t, such as "20231114T221320Z". It has 16 characters
// for the years 0 to 9999.
func (t Time) String() string { return t.Time().Format(stampLayout) }

// ParseStamp reads what Time.String writes, in either case of letters. The year
// must be 1901 to 2099. As in duplicity a second may be 60 or 61, and a day beyond
// the end of its month counts into the next one.
func ParseStamp(s string) (Time, bool) {
	if len(s) != len(stampLayout) || upper(s[8]) != 'T' || upper(s[15]) != 'Z' {
		return 0, false
	}
	var c clock
	ok := digits(s[0:4], &c.year) && digits(s[4:6], &c.month) && digits(s[6:8], &c.day) &&
		digits(s[9:11], &c.hour) && digits(s[11:13], &c.minute) && digits(s[13:15], &c.second)
	if !ok {
		return 0, false
	}
	return c.time()
}

// nameTime reads a time in a long name. duplicity sends it through its parser of
// time arguments; of those forms only the ones that mean the same on every day and
// in every zone are taken here, which are all that was ever written.
func nameTime(s, sep string) (Time, bool) {
	t, ok := ParseStamp(s)
	if !ok {
		t, ok = parseEpoch(s)
	}
	if !ok {
		var zoned bool
		t, zoned, ok = parseW3(s, sep)
		ok = ok && zoned
	}
	return t, ok && validTime(t)
}

// shortTime reads a time in a short name (duplicity-format.md §1.3).
func shortTime(s string) (Time, bool) {
	n, ok := parseBase36(s)
	return Time(n), ok && validTime(Time(n))
}

func validTime(t Time) bool { return t >= minTime && t <= maxTime && t != 0 }

// clock is a reading of calendar and clock, in UTC unless corrected afterwards.
type clock struct{ year, month, day, hour, minute, second int }

// time checks the ranges and gives the moment, taking the reading to be UTC.
func (c clock) time() (Time, bool) {
	if c.year < 1901 || c.year > 2099 || c.month < 1 || c.month > 12 || c.day < 1 || c.day > 31 ||
		c.hour > 23 || c.minute > 59 || c.second > 61 {
		return 0, false
	}
	t := time.Date(c.year, time.Month(c.month), c.day, c.hour, c.minute, c.second, 0, time.UTC)
	return TimeOf(t), true
}

// parseW3 reads YYYY-MM-DDTHH:MM:SS with sep for the colons, then nothing, Z or
// ±HH:MM. Without a zone the reading is returned as if it were UTC.
func parseW3(s, sep string) (t Time, zoned, ok bool) {
	if sep == "" {
		sep = ":"
	}
	var c clock
	p := scanner{rest: s}
	p.number(4, &c.year)
	p.literal("-")
	p.number(2, &c.month)
	p.literal("-")
	p.number(2, &c.day)
	p.letter('T')
	p.number(2, &c.hour)
	p.literal(sep)
	p.number(2, &c.minute)
	p.literal(sep)
	p.number(2, &c.second)
	if p.failed {
		return 0, false, false
	}
	if t, ok = c.time(); !ok || p.rest == "" {
		return t, false, ok
	}
	offset, ok := parseZone(p.rest, sep)
	return t - offset, true, ok
}

// parseZone reads Z or ±HH:MM as seconds east of Greenwich.
func parseZone(s, sep string) (Time, bool) {
	if s == "Z" || s == "z" {
		return 0, true
	}
	sign := Time(1)
	switch s[0] {
	case '-':
		sign = -1
	case '+':
	default:
		return 0, false
	}
	var hours, minutes int
	p := scanner{rest: s[1:]}
	p.number(2, &hours)
	p.literal(sep)
	p.number(2, &minutes)
	if p.failed || p.rest != "" || hours > 23 || minutes > 59 {
		return 0, false
	}
	return sign * Time(hours*3600+minutes*60), true
}

// parseEpoch reads decimal seconds since 1970. The bound, the end of year 9999,
// keeps arithmetic on times from overflowing.
func parseEpoch(s string) (Time, bool) {
	const limit = 253402300799
	if s == "" {
		return 0, false
	}
	var n Time
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		if n = n*10 + Time(s[i]-'0'); n > limit {
			return 0, false
		}
	}
	return n, true
}
