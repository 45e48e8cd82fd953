package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/pflag"

	"hindsight/chain/naming"
)

// common are the options that every command on a repository has.
type common struct {
	scheme naming.Scheme

	cacheDir, name, tempDir, profile string

	passphraseFile      string
	keyFiles            []string
	gnupgHome, gpg      string
	useAgent            bool
	encryptKeys, hidden []string
	signKey             string
	noEncryption        bool
	noCompression       bool

	s3 s3Options

	jobs   int
	memory size

	verbosity  verbosity
	quiet      bool
	json       bool
	progress   progressMode
	strict     bool
	cpuProfile string
	now        epoch
}

// aliases are other names of options: duplicity 0.8's where 3.1 has a new one, and
// duplicity's where ours differs.
var aliases = map[string]string{
	"archive-dir":               "cache-dir",
	"restore-time":              "time",
	"file-to-restore":           "path-to-restore",
	"do-not-restore-ownership":  "no-restore-ownership",
	"include-globbing-filelist": "include-filelist",
	"exclude-globbing-filelist": "exclude-filelist",
}

func normalize(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	if to, ok := aliases[name]; ok {
		name = to
	}
	return pflag.NormalizedName(name)
}

// addFlags adds the common options; writes says that the command makes a backup.
func (o *common) addFlags(fs *pflag.FlagSet, writes bool) {
	fs.SetNormalizeFunc(normalize)
	o.addPlace(fs, writes)
	o.addKeys(fs, writes)
	o.memory = 256 << 20
	fs.IntVarP(&o.jobs, "jobs", "j", 0, "work at `N` things at once (0: one per processor)")
	fs.Var(&o.memory, "memory", "keep buffers within about this `SIZE` (such as 512M or 1G)")
	fs.StringVar(&o.tempDir, "tempdir", "", "put temporary files into `DIR` (default: TMPDIR)")
	o.verbosity = levelNotice
	fs.VarP(&o.verbosity, "verbosity", "v", "say more or less: 0 to 9, or error, warning, notice, info, debug")
	fs.BoolVarP(&o.quiet, "quiet", "q", false, "say nothing but errors")
	fs.BoolVar(&o.json, "json", false, "write results, messages, errors and progress as one JSON object a line, each with a type")
	o.progress = "auto"
	fs.Var(&o.progress, "progress", "show progress: auto, on or off")
	fs.Lookup("progress").NoOptDefVal = "on" // duplicity's takes no value
	fs.BoolVar(&o.strict, "strict", false, "exit with code 1 if there were warnings")
	fs.StringVar(&o.cpuProfile, "cpuprofile", "", "write a CPU profile to `FILE`")
	fs.Var(&o.now, "current-time", "take this `EPOCH` for now")
	o.s3.addFlags(fs, writes)
	const noEffect = "accepted for duplicity's sake; no effect"
	fs.Uint("concurrency", 1, noEffect+" (`N`)")
	fs.Uint("progress-rate", 3, noEffect+" (`SECONDS`)")
	fs.String("metadata-sync-mode", "partial", noEffect+" (`MODE`)")
	fs.Bool("asynchronous-upload", false, noEffect)
	hide(fs, "current-time", "cpuprofile")
}

// addPlace adds what says where the backup is and how its objects are named.
func (o *common) addPlace(fs *pflag.FlagSet, writes bool) {
	fs.StringVar(&o.profile, "profile", "", "take the URL and options of profile `NAME`, where the command line has none")
	fs.StringVar(&o.cacheDir, "cache-dir", "", "keep local copies of metadata below `DIR` (default: hindsight in the user's cache directory)")
	fs.StringVar(&o.name, "name", "", "`NAME` of the cache (default: MD5 of the URL)")
	fs.StringVar(&o.scheme.Prefix, "file-prefix", "", "`PREFIX` of all object names")
	fs.StringVar(&o.scheme.Archive, "file-prefix-archive", "", "`PREFIX` of volumes, after that of all")
	fs.StringVar(&o.scheme.Manifest, "file-prefix-manifest", "", "`PREFIX` of manifests, after that of all")
	fs.StringVar(&o.scheme.Signature, "file-prefix-signature", "", "`PREFIX` of signatures, after that of all")
	fs.StringVar(&o.scheme.Jsonstat, "file-prefix-jsonstat", "", "`PREFIX` of duplicity's statistics, after that of all")
	fs.StringVar(&o.scheme.TimeSeparator, "time-separator", "", "`CHAR` that stands for colons in old object names (default \":\")")
	if !writes {
		fs.BoolVar(&o.scheme.OnlyShort, "short-filenames", false, "take only duplicity's short object names for backups")
	}
}

// addKeys adds what says how to decrypt and encrypt. Reading needs none of the
// latter, but takes it, so that one set of options serves all commands.
func (o *common) addKeys(fs *pflag.FlagSet, writes bool) {
	fs.StringVar(&o.passphraseFile, "passphrase-file", "", "read the passphrase from the first line of `FILE` (default: PASSPHRASE of the environment)")
	fs.StringArrayVar(&o.keyFiles, "key-file", nil, "OpenPGP keys in `FILE`, secret or public; may be repeated")
	fs.StringVar(&o.gnupgHome, "gpg-homedir", "", "home `DIR` of gpg")
	fs.StringVar(&o.gpg, "gpg-binary", "", "gpg `PROGRAM`")
	fs.BoolVar(&o.useAgent, "use-agent", false, "leave passphrases to gpg-agent")
	fs.BoolVar(&o.noEncryption, "no-encryption", false, "do not encrypt")
	fs.BoolVar(&o.noCompression, "no-compression", false, "do not compress")
	fs.StringArrayVar(&o.encryptKeys, "encrypt-key", nil, "encrypt to `KEY` instead of a passphrase; may be repeated")
	fs.StringArrayVar(&o.hidden, "hidden-encrypt-key", nil, "encrypt to `KEY` without naming it; may be repeated")
	sign := "demand that volumes are signed by `KEY`"
	if writes {
		sign = "sign with `KEY`; the passphrase is SIGN_PASSPHRASE of the environment, or else the other one"
	}
	fs.StringVar(&o.signKey, "sign-key", "", sign)
	fs.Var(&bothKeys{o}, "encrypt-sign-key", "both --encrypt-key and --sign-key with `KEY`")
	if !writes {
		hide(fs, "no-encryption", "no-compression", "encrypt-key", "hidden-encrypt-key", "encrypt-sign-key")
	}
}

const (
	maxJobs   = 1024     // each holds memory of its own
	minMemory = 16 << 20 // bytes; blocks and volumes need some
)

// check refuses values that no run can work with.
func (o *common) check() error {
	switch {
	case o.jobs < 0 || o.jobs > maxJobs:
		return usagef("--jobs %d: want 1 to %d, or 0 for one per processor", o.jobs, maxJobs)
	case o.memory < minMemory:
		return usagef("--memory: want at least %s", ibytes(minMemory))
	}
	for option, dir := range map[string]string{"tempdir": o.tempDir, "gpg-homedir": o.gnupgHome} {
		if dir == "" {
			continue
		}
		if fi, err := os.Stat(dir); err != nil {
			return usagef("--%s: %w", option, err)
		} else if !fi.IsDir() {
			return usagef("--%s: %s is not a directory", option, shown(dir))
		}
	}
	for _, name := range o.keyFiles {
		if _, err := os.Stat(name); err != nil {
			return usagef("--key-file: %w", err)
		}
	}
	return o.s3.check()
}

// checkEncryption refuses a backup that is asked for both with and without encryption:
// whoever gives a key means it. PASSPHRASE alone does not count, as whole crontabs
// have it.
func (o *common) checkEncryption() error {
	if !o.noEncryption {
		return nil
	}
	for _, other := range []struct {
		name  string
		given bool
	}{
		{"encrypt-key", len(o.encryptKeys) > 0}, {"hidden-encrypt-key", len(o.hidden) > 0},
		{"sign-key", o.signKey != ""}, {"passphrase-file", o.passphraseFile != ""},
	} {
		if other.given {
			return usagef("--no-encryption and --%s contradict each other: give one of them", other.name)
		}
	}
	return nil
}

func hide(fs *pflag.FlagSet, names ...string) {
	for _, name := range names {
		fs.Lookup(name).Hidden = true
	}
}

// bothKeys is the value of --encrypt-sign-key.
type bothKeys struct{ opt *common }

func (b *bothKeys) String() string { return "" }
func (b *bothKeys) Type() string   { return "string" }
func (b *bothKeys) Set(key string) error {
	b.opt.encryptKeys = append(b.opt.encryptKeys, key)
	b.opt.signKey = key
	return nil
}

// size is a number of bytes, written with a unit of 1024 or none.
type size int64

func (s *size) Type() string   { return "size" }
func (s *size) String() string { return strconv.FormatInt(int64(*s)>>20, 10) + "M" }
func (s *size) Set(arg string) error {
	digits := strings.TrimRightFunc(arg, unicode.IsLetter)
	shift, known := units[strings.ToUpper(arg[len(digits):])]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !known || n < 0 || n > math.MaxInt64>>shift {
		return fmt.Errorf("want a number of bytes with K, M, G or T, not %q", arg)
	}
	*s = size(n << shift)
	return nil
}

// units are powers of two; nobody means millions of bytes of memory.
var units = map[string]uint{
	"": 0, "B": 0, "K": 10, "KB": 10, "KIB": 10, "M": 20, "MB": 20, "MIB": 20,
	"G": 30, "GB": 30, "GIB": 30, "T": 40, "TB": 40, "TIB": 40,
}

// verbosity is the value of --verbosity: a level, a word, or a word's first letter.
type verbosity int

var verbosityWords = map[string]verbosity{
	"error": levelError, "e": levelError, "warning": levelWarning, "w": levelWarning,
	"notice": levelNotice, "n": levelNotice, "info": levelInfo, "i": levelInfo,
	"debug": levelDebug, "d": levelDebug,
}

func (v *verbosity) Type() string   { return "LEVEL" }
func (v *verbosity) String() string { return strconv.Itoa(int(*v)) }
func (v *verbosity) Set(arg string) error {
	if level, ok := verbosityWords[strings.ToLower(arg)]; ok {
		*v = level
		return nil
	}
	if n, err := strconv.Atoi(arg); err == nil && 0 <= n && n <= 9 {
		*v = verbosity(n)
		return nil
	}
	return fmt.Errorf("want 0 to 9, error, warning, notice, info or debug, not %q", arg)
}

// progressMode is the value of --progress.
type progressMode string

var progressModes = []string{"auto", "on", "off"}

func (p *progressMode) Type() string   { return "string" }
func (p *progressMode) String() string { return string(*p) }
func (p *progressMode) Set(arg string) error {
	for _, mode := range progressModes {
		if arg == mode {
			*p = progressMode(arg)
			return nil
		}
	}
	return fmt.Errorf("want auto, on or off, not %q", arg)
}

// epoch is a moment in whole seconds since 1970; 0: not given.
type epoch int64

func (e *epoch) Type() string   { return "int" }
func (e *epoch) String() string { return strconv.FormatInt(int64(*e), 10) }
func (e *epoch) Set(arg string) error {
	n, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || n <= 0 {
		return fmt.Errorf("want seconds since 1970, not %q", arg)
	}
	*e = epoch(n)
	return nil
}

// currentTime is the time of this run.
func (j *job) currentTime() time.Time {
	if j.opt.now != 0 {
		return time.Unix(int64(j.opt.now), 0)
	}
	return j.env.Now()
}

// moment reads the argument of a time option.
func (j *job) moment(arg string) (naming.Time, error) {
	return naming.ParseTime(arg, j.currentTime(), j.env.Location, j.opt.scheme.TimeSeparator)
}
