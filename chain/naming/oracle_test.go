package naming_test

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"hindsight/chain/naming"
)

// The slow and plain reading of duplicity-format.md §1, which the parser is held to:
// one pattern a kind, the lazy matching left to the regexp engine.
type pattern struct {
	kind naming.Kind
	inc  bool
	re   *regexp.Regexp
}

func patterns(s naming.Scheme, short bool) []pattern {
	const full, inc = `(?P<end>.*?)`, `(?P<start>.*?)\.to\.(?P<end>.*?)`
	const shortFull, shortInc = `(?P<end>[0-9a-z]+?)`, `(?P<start>[0-9a-z]+?)\.(?P<end>[0-9a-z]+?)`
	const stop = `(?:$|\.)`
	build := func(kind naming.Kind, isInc bool, prefix, body string) pattern {
		return pattern{kind, isInc, regexp.MustCompile(`^` + regexp.QuoteMeta(s.Prefix+prefix) + body + stop)}
	}
	if short {
		const part = `(?P<partial>\.p)?`
		return []pattern{
			build(naming.Volume, false, s.Archive, `df\.`+shortFull+`\.(?P<n>[0-9a-z]+?)\.dt`+part),
			build(naming.Manifest, false, s.Manifest, `df\.`+shortFull+`\.m`+part),
			build(naming.Volume, true, s.Archive, `di\.`+shortInc+`\.(?P<n>[0-9a-z]+?)\.dt`),
			build(naming.Manifest, true, s.Manifest, `di\.`+shortInc+`\.m`+part),
			build(naming.Signatures, false, s.Signature, `dfs\.`+shortFull+`\.st`+part),
			build(naming.Signatures, true, s.Signature, `dns\.`+shortInc+`\.st`+part),
		}
	}
	const part = `(?P<partial>\.part)?`
	return []pattern{
		build(naming.Volume, false, s.Archive, `duplicity-full\.`+full+`\.vol(?P<n>[0-9]+)\.difftar`+part),
		build(naming.Manifest, false, s.Manifest, `duplicity-full\.`+full+`\.manifest`+part),
		build(naming.Volume, true, s.Archive, `duplicity-inc\.`+inc+`\.vol(?P<n>[0-9]+)\.difftar`),
		build(naming.Manifest, true, s.Manifest, `duplicity-inc\.`+inc+`\.manifest`+part),
		build(naming.Signatures, false, s.Signature, `duplicity-full-signatures\.`+full+`\.sigtar`+part),
		build(naming.Signatures, true, s.Signature, `duplicity-new-signatures\.`+inc+`\.sigtar`+part),
		build(naming.Statistics, false, s.Jsonstat, `duplicity-full\.`+full+`\.jsonstat`+part),
		build(naming.Statistics, true, s.Jsonstat, `duplicity-inc\.`+inc+`\.jsonstat`+part),
		build(naming.TOC, true, "", `hindsight-toc\.`+inc+part),
		build(naming.TOC, false, "", `hindsight-toc\.`+full+part),
	}
}

// oracle holds the patterns of one scheme.
type oracle struct {
	scheme      naming.Scheme
	short, long []pattern
}

func newOracle(s naming.Scheme) *oracle {
	return &oracle{s, patterns(s, true), patterns(s, false)}
}

func (o *oracle) parse(name string) (naming.Name, bool) {
	if n, ok := o.try(name, o.short, true); ok {
		return n, true
	}
	if o.scheme.OnlyShort {
		return naming.Name{}, false
	}
	return o.try(name, o.long, false)
}

func (o *oracle) try(name string, patterns []pattern, short bool) (naming.Name, bool) {
	for _, p := range patterns {
		match := p.re.FindStringSubmatch(name)
		if match == nil {
			continue
		}
		n := naming.Name{Kind: p.kind, Inc: p.inc}
		ok := true
		for i, group := range p.re.SubexpNames() {
			switch group {
			case "start":
				n.Start, ok = o.time(match[i], short, ok)
			case "end":
				n.End, ok = o.time(match[i], short, ok)
			case "n":
				base := 10
				if short {
					base = 36
				}
				v, err := strconv.ParseInt(match[i], base, 64)
				n.Volume = int(v)
				ok = ok && err == nil && v >= 1 && v <= naming.MaxVolume
			case "partial":
				n.Partial = match[i] != ""
			}
		}
		if !ok {
			continue
		}
		n.Compressed = strings.HasSuffix(name, ".gz") || strings.HasSuffix(name, ".z")
		n.CMS = strings.HasSuffix(name, ".p7m")
		n.Encrypted = strings.HasSuffix(name, ".gpg") || strings.HasSuffix(name, ".g") || n.CMS
		return n, true
	}
	return naming.Name{}, false
}

var zoned = regexp.MustCompile(`^([0-9]+|[0-9]{8}T[0-9]{6}Z|[0-9]{4}-..-..T.*(Z|[+-].*))$`)

func (o *oracle) time(s string, short, ok bool) (naming.Time, bool) {
	if !ok {
		return 0, false
	}
	var t naming.Time
	if short {
		n, err := strconv.ParseInt(s, 36, 64)
		t, ok = naming.Time(n), err == nil
	} else {
		up := strings.ToUpper(s)
		if !zoned.MatchString(up) {
			return 0, false
		}
		var err error
		t, err = naming.ParseTime(up, time.Unix(0, 0), nil, o.scheme.TimeSeparator)
		ok = err == nil
	}
	year := t.Time().Year()
	return t, ok && t != 0 && year >= 1901 && year <= 2099
}
