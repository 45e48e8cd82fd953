package naming

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// TimeError is the answer to a time argument that cannot be read.
type TimeError struct {
	Arg      string
	Interval bool // only an interval was asked for
}

// Error names the argument and the forms that would have been understood.
func (e *TimeError) Error() string {
	arg := e.Arg
	if len(arg) > 60 {
		arg = arg[:60] + "..."
	}
	const interval = "an interval such as 3D12h (units s, m, h, D, W, M of 30 days, Y of 365 days; case matters)"
	if e.Interval {
		return fmt.Sprintf("bad interval %q: want %s", arg, interval)
	}
	return fmt.Sprintf("bad time %q: want now, seconds since 1970, 20231114T221320Z, 2023-11-14T22:13:20 "+
		"(then Z, +01:00 or nothing), %s, or a date such as 2023-11-14, 2023/11/14, 11/14/2023, 11-14-2023 or 20231114Z", arg, interval)
}

// ParseTime reads a time as duplicity's options take it (duplicity-format.md §6.5).
// In this order:
//
//	now
//	1700000000             seconds since 1970, any string of digits
//	20231114T221320Z
//	2023-11-14T22:13:20    then Z, an offset such as +05:30, or nothing
//	3D12h                  so long before now; see ParseInterval
//	2023/11/14 2023-11-14 11/14/2023 11-14-2023 20231114Z    midnight
//
// Years are 1901 to 2099. A time without a zone and the midnight of a date are
// taken in loc (nil is UTC) at its offset outside summer time, all year round, as
// duplicity does. sep stands for the colons and is ":" if empty. The error is a
// *TimeError.
func ParseTime(arg string, now time.Time, loc *time.Location, sep string) (Time, error) {
	if arg == "now" {
		return TimeOf(now), nil
	}
	if t, ok := parseEpoch(arg); ok {
		return t, nil
	}
	if !strings.ContainsAny(arg, "tz") { // names may be in lower case, arguments may not
		if t, ok := ParseStamp(arg); ok {
			return t, nil
		}
		if t, zoned, ok := parseW3(arg, sep); ok && zoned {
			return t, nil
		} else if ok {
			return t - standardOffset(now, loc), nil
		}
	}
	if seconds, ok := parseInterval(arg); ok {
		return TimeOf(now) - Time(seconds), nil
	}
	if t, ok := parseDate(arg); ok {
		return t - standardOffset(now, loc), nil
	}
	return 0, &TimeError{Arg: arg}
}

// ParseInterval reads a length of time: one or more of a decimal number and a unit,
// added up. The units are s, m, h, D, W, M (30 days) and Y (365 days). What is too
// long for a time.Duration, some 292 years, becomes the longest that has whole
// seconds. The error is a *TimeError.
func ParseInterval(arg string) (time.Duration, error) {
	seconds, ok := parseInterval(arg)
	if !ok {
		return 0, &TimeError{Arg: arg, Interval: true}
	}
	return time.Duration(seconds) * time.Second, nil
}

const maxInterval = math.MaxInt64 / int64(time.Second) // seconds

// parseInterval returns seconds, at most maxInterval.
func parseInterval(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	var total, n int64
	counted := false // a number stands before the unit
	for i := range len(s) {
		if c := s[i]; c >= '0' && c <= '9' {
			n = min(n*10+int64(c-'0'), maxInterval)
			counted = true
			continue
		}
		unit := unitSeconds(s[i])
		if unit == 0 || !counted {
			return 0, false
		}
		if n > (maxInterval-total)/unit {
			total = maxInterval
		} else {
			total += n * unit
		}
		n, counted = 0, false
	}
	return total, !counted
}

// unitSeconds is the length of a unit of intervals, 0 if there is no such unit.
func unitSeconds(unit byte) int64 {
	const day = 24 * 60 * 60
	switch unit {
	case 's':
		return 1
	case 'm':
		return 60
	case 'h':
		return 60 * 60
	case 'D':
		return day
	case 'W':
		return 7 * day
	case 'M':
		return 30 * day
	case 'Y':
		return 365 * day
	}
	return 0
}

// parseDate reads a date as its midnight in UTC. Months and days may have one digit
// where there are separators, and "-" and "/" may be mixed, as in duplicity.
func parseDate(s string) (Time, bool) {
	if len(s) == len("20231114Z") && s[8] == 'Z' {
		var c clock
		if digits(s[0:4], &c.year) && digits(s[4:6], &c.month) && digits(s[6:8], &c.day) {
			return c.time()
		}
		return 0, false
	}
	fields, ok := splitDate(s)
	if !ok {
		return 0, false
	}
	year, month, day := fields[0], fields[1], fields[2]
	if len(year) != 4 {
		month, day, year = fields[0], fields[1], fields[2]
	}
	if len(year) != 4 || len(month) > 2 || len(day) > 2 {
		return 0, false
	}
	var c clock
	if !digits(year, &c.year) || !digits(month, &c.month) || !digits(day, &c.day) {
		return 0, false
	}
	return c.time()
}

// splitDate cuts s at its two separators.
func splitDate(s string) (fields [3]string, ok bool) {
	n, start := 0, 0
	for i := range len(s) {
		if s[i] != '-' && s[i] != '/' {
			continue
		}
		if n == 2 {
			return fields, false
		}
		fields[n] = s[start:i]
		n, start = n+1, i+1
	}
	fields[2] = s[start:]
	return fields, n == 2
}

// standardOffset is the offset of loc east of Greenwich outside summer time, in
// seconds: the lesser of the offsets at the beginning and in the middle of the year
// of now. That is also what Python's time.timezone is, which duplicity uses.
func standardOffset(now time.Time, loc *time.Location) Time {
	if loc == nil {
		return 0
	}
	year := now.In(loc).Year()
	_, january := time.Date(year, time.January, 1, 0, 0, 0, 0, loc).Zone()
	_, july := time.Date(year, time.July, 1, 0, 0, 0, 0, loc).Zone()
	return Time(min(january, july))
}
