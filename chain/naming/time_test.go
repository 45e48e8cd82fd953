package naming_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // zones, whatever the machine has

	"hindsight/chain/naming"
)

func TestStamp(t *testing.T) {
	if got := t0.String(); got != "20231114T221320Z" {
		t.Errorf("stamp %s, want 20231114T221320Z", got)
	}
	if got := naming.TimeOf(time.Unix(1700000000, 999999999)); got != t0 {
		t.Errorf("TimeOf: %d, want %d", got, t0)
	}
	if got := naming.TimeOf(time.Unix(-1, 5e8)); got != -1 {
		t.Errorf("TimeOf half a second before 1970: %d, want -1", got)
	}
	if !t0.Time().Equal(time.Unix(1700000000, 0)) || t0.Time().Location() != time.UTC {
		t.Errorf("Time: %v", t0.Time())
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		want := naming.Time(r.Int64N(4102444800+2177452800) - 2177452800)
		if got, ok := naming.ParseStamp(want.String()); !ok || got != want {
			t.Fatalf("%s: got %d, %v, want %d", want, got, ok, want)
		}
	}
	for s, want := range map[string]naming.Time{
		"20231114t221320z": t0,
		"20231114T221360Z": t0 + 40, // leap seconds and long months count on
		"20231114T221361Z": t0 + 41,
		"20230231T000000Z": 1677801600, // 3 March
		"20000229T000000Z": 951782400,
	} {
		if got, ok := naming.ParseStamp(s); !ok || got != want {
			t.Errorf("%s: got %d, %v, want %d", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "20231114T221320", "20231114T2213200", "20231114 221320Z", "2023111aT221320Z", "20231132T221320Z",
		"20230014T221320Z", "20231100T221320Z", "20231114T241320Z", "20231114T226020Z", "-0231114T221320Z", "+0231114T221320Z"} {
		if got, ok := naming.ParseStamp(s); ok {
			t.Errorf("%q was taken for %s", s, got)
		}
	}
}

// zone loads a time zone.
func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestParseTime(t *testing.T) {
	const now = 1700500000
	const day = 86400
	midnight := naming.Time(1699920000) // 2023-11-14T00:00:00Z
	for arg, want := range map[string]naming.Time{
		"now":                       now,
		"0":                         0,
		"1700000000":                t0,
		"20231114":                  20231114, // digits are seconds, whatever they look like
		"20231114T221320Z":          t0,
		"2023-11-14T22:13:20":       t0,
		"2023-11-14T22:13:20Z":      t0,
		"2023-11-15T03:43:20+05:30": t0,
		"2023-11-14T17:13:20-05:00": t0,
		"3D":                        now - 3*day,
		"3D12h":                     now - 3*day - 12*3600,
		"1h78m":                     now - 3600 - 78*60,
		"1s":                        now - 1,
		"2W":                        now - 14*day,
		"1M":                        now - 30*day,
		"1Y":                        now - 365*day,
		"1Y1M1W1D1h1m1s":            now - (365+30+7+1)*day - 3661,
		"1M1M":                      now - 60*day,
		"0D":                        now,
		"2023-11-14":                midnight,
		"2023/11/14":                midnight,
		"2023-11/14":                midnight,
		"11/14/2023":                midnight,
		"11-14-2023":                midnight,
		"20231114Z":                 midnight,
		"2023/1/4":                  1672790400,
		"1-4-2023":                  1672790400,
		"1901-01-01":                -2177452800,
		"2099-12-31":                4102358400,
	} {
		got, err := naming.ParseTime(arg, time.Unix(now, 7e8), time.UTC, "")
		if err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", arg, got, err, want)
		}
	}
}

// Times without a zone use the offset outside summer time, in summer too.
func TestParseTimeZone(t *testing.T) {
	summer, winter := time.Unix(1720000000, 0), time.Unix(1700000000, 0)
	for _, tt := range []struct {
		zone  string
		hours naming.Time
	}{
		{"Europe/Berlin", 1},
		{"America/New_York", -5},
		{"Australia/Sydney", 10},
		{"Europe/Dublin", 0}, // whose law calls summer the standard
		{"UTC", 0},
	} {
		loc := zone(t, tt.zone)
		for _, now := range []time.Time{summer, winter} {
			for arg, inUTC := range map[string]naming.Time{
				"2023-07-01":                1688169600,
				"20230701Z":                 1688169600,
				"2023-07-01T12:00:00":       1688212800,
				"2023-01-01T12:00:00":       1672574400,
				"2023-07-01T12:00:00Z":      1688212800 + tt.hours*3600,
				"2023-07-01T12:00:00+00:00": 1688212800 + tt.hours*3600,
			} {
				want := inUTC - tt.hours*3600
				if got, err := naming.ParseTime(arg, now, loc, ":"); err != nil || got != want {
					t.Errorf("%s in %s: got %d, %v, want %d", arg, tt.zone, got, err, want)
				}
			}
		}
	}
	if got, err := naming.ParseTime("2023-11-14T22_13_20Z", winter, nil, "_"); err != nil || got != t0 {
		t.Errorf("separator: got %d, %v", got, err)
	}
}

// duplicity 0.8.22 refuses these too, but for offsets of a day and more and for
// seconds past the year 9999.
func TestParseTimeRefuses(t *testing.T) {
	for _, arg := range []string{
		"", " ", "NOW", "yesterday", "-5", " 3D", "3D ", "3d", "12H", "D", "3D4", "3X", "3D-4h", "3.5D", "３D",
		"20231114t221320z", "20231114T221320Z ", "20231114T221320", "2023-11-14T22:13:20z", "2023-11-14t22:13:20Z",
		"2023-11-14T22:13:20+0530", "2023-11-14T22:13:20+5:30", "2023-11-14T22:13:20+24:00", "2023-11-14T22:13:20+05:60",
		"2023-11-14T22:13:20+05:30x", "2023-11-14T22:13:20+", "2023-11-14T22:13:20 ", "2023-11-14T22_13_20Z", "2023-1-4T1:2:3Z",
		"2023-11-14T24:00:00Z", "2023-11-14T22:13:62Z", "2023-13-44", "2023-02-32T00:00:00Z", "20231399Z", "2023-11-14 ",
		"1900-01-01", "2100-01-01", "2023-11", "2023-11-14-1", "23-11-14", "11/14/23", "2023-011-14", "2023--14", "--", "//", "2023-11-", "20231114Z1",
		"253402300800", "99999999999999999999999",
		strings.Repeat("9D", 1000) + "x",
	} {
		got, err := naming.ParseTime(arg, time.Unix(1700500000, 0), time.UTC, "")
		var bad *naming.TimeError
		if !errors.As(err, &bad) {
			t.Errorf("%.60q was taken for %d, %v", arg, got, err)
			continue
		}
		if text := err.Error(); len(text) > 500 || !strings.Contains(text, "3D12h") || !strings.Contains(text, "2023-11-14T22:13:20") {
			t.Errorf("%.60q: the error does not help: %s", arg, text)
		}
	}
}

func TestParseInterval(t *testing.T) {
	const longest = math.MaxInt64 / time.Second * time.Second
	for arg, want := range map[string]time.Duration{
		"30D":                         30 * 24 * time.Hour,
		"1h30m":                       90 * time.Minute,
		"0s":                          0,
		"1Y":                          365 * 24 * time.Hour,
		"1000Y":                       longest, // means never
		"99999999999999999999999999D": longest,
		"292Y999M":                    longest,
		"9223372036s":                 longest,
		"9223372036s1s":               longest,
	} {
		if got, err := naming.ParseInterval(arg); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", arg, got, err, want)
		}
	}
	for _, arg := range []string{"", "5", "D", "30d", "30D ", "now", "2023-11-14", "1D1"} {
		got, err := naming.ParseInterval(arg)
		if err == nil {
			t.Errorf("%q was taken for %v", arg, got)
		} else if !strings.Contains(err.Error(), "bad interval") {
			t.Errorf("%q: error %q", arg, err)
		}
	}
}

// FuzzParseTime: no argument panics, errors stay short, and what is taken is within
// the years that can be told apart.
func FuzzParseTime(f *testing.F) {
	for _, arg := range []string{"now", "1700000000", "20231114T221320Z", "2023-11-14T22:13:20+05:30", "2023-11-14T22_13_20-05_30", "3D12h", "1000Y", "2023/1/4", "1-4-2023", "20231114Z"} {
		f.Add(arg, ":")
		f.Add(arg, "_")
	}
	now := time.Unix(1700500000, 0)
	f.Fuzz(func(t *testing.T, arg, sep string) {
		got, err := naming.ParseTime(arg, now, time.UTC, sep)
		if err != nil {
			if got != 0 || len(err.Error()) > 800 {
				t.Fatalf("%q: %d, %v", arg, got, err)
			}
			return
		}
		if year := got.Time().Year(); year < 1700 || year > 9999 {
			t.Fatalf("%q: year %d", arg, year)
		}
		if again, err := naming.ParseTime(got.String(), now, nil, ""); got.Time().Year() >= 1901 && got.Time().Year() <= 2099 && (err != nil || again != got) {
			t.Fatalf("%q: %d comes back as %d, %v", arg, got, again, err)
		}
	})
}
