package chain_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/manifest"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

// Every volume of every golden repository is read to its end and agrees with its
// manifest, but for those that were damaged on purpose.
func TestGoldenVolumes(t *testing.T) {
	treetest.Sequential(t)
	sets, damaged, missing := 0, 0, 0
	for _, c := range treetest.LoadCases(t) {
		r, col := openCase(t, c)
		for _, ch := range col.Chains {
			for _, s := range ch.Sets {
				sets++
				m, err := r.Manifest(t.Context(), s)
				if err != nil {
					t.Errorf("%s: %v", c.Name, err)
					continue
				}
				if m.Hostname != "fxhost" && c.Name != "replicated" {
					t.Errorf("%s: host %q", c.Name, m.Hostname)
				}
				for _, v := range m.Volumes {
					items, err := readVolume(t.Context(), r, s, v)
					corrupt := (*chain.CorruptError)(nil)
					switch {
					case err == nil:
						checkPositions(t, c.Name, v, items)
					case errors.Is(err, chain.ErrMissingVolume) && len(c.Removed) > 0:
						missing++
					case errors.As(err, &corrupt) && errors.Is(err, chain.ErrHash) && contains(c.Damaged, corrupt.Object):
						damaged++
					default:
						t.Errorf("%s, volume %d: %v", c.Name, v.Number, err)
					}
				}
			}
		}
	}
	t.Logf("%d sets; %d volumes are damaged, %d missing", sets, damaged, missing)
	if damaged < 3 || missing < 2 {
		t.Error("too few damaged or missing volumes")
	}
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if strings.HasSuffix(n, name) {
			return true
		}
	}
	return false
}

// checkPositions compares a volume's first and last entry with the manifest.
func checkPositions(t *testing.T, name string, v manifest.Volume, items []item) {
	t.Helper()
	if len(items) == 0 {
		if v.Start.Path != "" || v.End.Path != "" {
			t.Errorf("%s: volume %d is empty, its range is not", name, v.Number)
		}
		return
	}
	position := func(it item) manifest.Position {
		p := manifest.Position{Path: it.Path}
		if it.Part > 0 && it.Size == difftar.PartSize {
			p.Block = it.Part
		}
		return p
	}
	first, last := position(items[0]), position(items[len(items)-1])
	if first != v.Start || last != v.End {
		t.Errorf("%s: volume %d holds %v to %v, manifest says %v to %v", name, v.Number, first, last, v.Start, v.End)
	}
}

// written is a repository of one set of three volumes.
func written(t *testing.T) (st *storetest.Mem, set *chain.Set, m *manifest.Manifest) {
	t.Helper()
	r, st := newRepository()
	mustBackup(t, r, full(1), chain.SetOptions{Format: gz, VolumeSize: 150 << 10}, small())
	set = load(t, st).Latest().Sets[0]
	_, m = readSet(t, r, set)
	if len(m.Volumes) < 2 {
		t.Fatalf("%d volumes", len(m.Volumes))
	}
	return st, set, m
}

// Whatever happens to a volume's bytes, the hash tells, and no reader is told io.EOF.
func TestVolumeDamage(t *testing.T) {
	st, set, m := written(t)
	o, err := set.Volume(1)
	if err != nil {
		t.Fatal(err)
	}
	whole := get(t, st, o.Key)
	r := &chain.Repository{Store: st}
	check := func(what string, data []byte) {
		t.Helper()
		put(t, st, o.Key, data)
		_, err := readVolume(t.Context(), r, set, m.Volumes[0])
		corrupt := (*chain.CorruptError)(nil)
		if !errors.Is(err, chain.ErrHash) || !errors.As(err, &corrupt) || corrupt.Object != o.Key {
			t.Fatalf("%s: error %v", what, err)
		}
	}
	for n := 0; n < len(whole); n += 1 + n/3 {
		check(fmt.Sprintf("cut to %d bytes", n), whole[:n])
		flipped := bytes.Clone(whole)
		flipped[n] ^= 0x10
		check(fmt.Sprintf("byte %d flipped", n), flipped)
	}
	check("one byte short", whole[:len(whole)-1])
	check("a byte more", append(bytes.Clone(whole), 0))
	check("another volume", get(t, st, set.Volumes[1].Key))
	put(t, st, o.Key, whole)
	if _, err := readVolume(t.Context(), r, set, m.Volumes[0]); err != nil {
		t.Errorf("restored: %v", err)
	}
}

// An error sticks, and success does not hide a later complaint of the consumer.
func TestVolumeErrorSticks(t *testing.T) {
	st, set, m := written(t)
	r := &chain.Repository{Store: st}
	bad := m.Volumes[0]
	bad.Hashes = []manifest.Hash{{Algorithm: "SHA1", Hex: strings.Repeat("0", 40)}}
	complaint := errors.New("complaint")
	for _, v := range []manifest.Volume{bad, m.Volumes[0]} {
		vr, err := r.Volume(t.Context(), set, v)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = vr.Next()
		}
		if _, again := vr.Next(); again != err {
			t.Errorf("error %v, then %v", err, again)
		}
		corrupt := (*chain.CorruptError)(nil)
		if err == io.EOF && (!errors.Is(vr.Fail(complaint), complaint) || !errors.As(vr.Fail(complaint), &corrupt)) {
			t.Errorf("after io.EOF a complaint becomes %v", vr.Fail(complaint))
		}
		if err != io.EOF && vr.Fail(complaint) != err {
			t.Errorf("after %v a complaint becomes %v", err, vr.Fail(complaint))
		}
		if err := vr.Close(); err != nil {
			t.Error(err)
		}
	}
	vr, err := r.Volume(t.Context(), set, m.Volumes[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vr.Next(); err != nil {
		t.Fatal(err)
	}
	if err := vr.Fail(complaint); !errors.Is(err, complaint) || errors.Is(err, chain.ErrHash) {
		t.Errorf("a complaint about a volume with the right hash becomes %v", err)
	}
	vr.Close()
}

func TestVolumeHashes(t *testing.T) {
	st, set, m := written(t)
	r := &chain.Repository{Store: st}
	sum := fmt.Sprintf("%x", md5.Sum(get(t, st, set.Volumes[0].Key)))
	sha1, _ := m.Volumes[0].SHA1()
	zeros := strings.Repeat("0", 40)
	for name, tt := range map[string]struct {
		hashes []manifest.Hash
		want   error
	}{
		"none":        {nil, nil},
		"unknown":     {[]manifest.Hash{{Algorithm: "BLAKE9", Hex: "ab"}}, nil},
		"MD5":         {[]manifest.Hash{{Algorithm: "MD5", Hex: sum}}, nil},
		"wrong MD5":   {[]manifest.Hash{{Algorithm: "MD5", Hex: zeros[:32]}}, chain.ErrHash},
		"upper case":  {[]manifest.Hash{{Algorithm: "sha1", Hex: strings.ToUpper(sha1)}}, nil},
		"SHA1 counts": {[]manifest.Hash{{Algorithm: "SHA1", Hex: sha1}, {Algorithm: "MD5", Hex: zeros[:32]}}, nil},
		"last counts": {[]manifest.Hash{{Algorithm: "SHA1", Hex: sha1}, {Algorithm: "SHA1", Hex: zeros}}, chain.ErrHash},
	} {
		v := m.Volumes[0]
		v.Hashes = tt.hashes
		if _, err := readVolume(t.Context(), r, set, v); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", name, err, tt.want)
		}
	}
}

// Where the manifest names no hash the checksum of gzip is all there is: it is looked at
// though the tar in it ended before.
func TestVolumeWithoutHash(t *testing.T) {
	st, set, m := written(t)
	r := &chain.Repository{Store: st}
	o, err := set.Volume(1)
	if err != nil {
		t.Fatal(err)
	}
	v := m.Volumes[0]
	v.Hashes = nil
	z, err := gzip.NewReader(bytes.NewReader(get(t, st, o.Key)))
	if err != nil {
		t.Fatal(err)
	}
	tar, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var stored bytes.Buffer
	zw, err := gzip.NewWriterLevel(&stored, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	zw.Write(append(tar, make([]byte, 10240)...)) // to memory, and below
	zw.Close()
	put(t, st, o.Key, stored.Bytes())
	if _, err := readVolume(t.Context(), r, set, v); err != nil {
		t.Errorf("whole: %v", err)
	}
	damaged := bytes.Clone(stored.Bytes())
	damaged[len(damaged)-8] ^= 1 // of the CRC
	put(t, st, o.Key, damaged)
	corrupt := (*chain.CorruptError)(nil)
	if _, err := readVolume(t.Context(), r, set, v); !errors.As(err, &corrupt) {
		t.Errorf("damaged: error %v", err)
	}
}

func TestMissingVolume(t *testing.T) {
	st, set, m := written(t)
	r := &chain.Repository{Store: st}
	if err := st.Delete(t.Context(), set.Volumes[1].Key); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*chain.Set{"gone since": set, "not listed": load(t, st).Latest().Sets[0]} {
		if _, err := r.Volume(t.Context(), s, m.Volumes[1]); !errors.Is(err, chain.ErrMissingVolume) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// What the store fails with is no damage of the object.
func TestStoreErrors(t *testing.T) {
	st, set, m := written(t)
	corrupt := (*chain.CorruptError)(nil)
	for name, rule := range map[string]storetest.Rule{
		"get":  {Op: storetest.Get},
		"lost": {Op: storetest.Get, Effect: storetest.Lost},
		"cut":  {Op: storetest.Get, Effect: storetest.Cut, At: 1000},
		"head": {Op: storetest.Get, Effect: storetest.Cut},
	} {
		read := map[string]func(r *chain.Repository) error{
			"volume":     func(r *chain.Repository) error { _, err := readVolume(t.Context(), r, set, m.Volumes[0]); return err },
			"signatures": func(r *chain.Repository) error { _, err := signatures(r, set); return err },
			"manifest":   func(r *chain.Repository) error { _, err := r.Manifest(t.Context(), set); return err },
		}
		for object, do := range read {
			if rule.At > 0 && object != "volume" {
				rule.At = 100
			}
			err := do(&chain.Repository{Store: storetest.NewFault(st, rule)})
			if !errors.Is(err, storetest.ErrFault) || errors.As(err, &corrupt) {
				t.Errorf("%s of %s fails: %v", name, object, err)
			}
		}
	}
}

func TestCancelledReading(t *testing.T) {
	st, set, m := written(t)
	ctx, cancel := context.WithCancel(t.Context())
	r := &chain.Repository{Store: st}
	vr, err := r.Volume(ctx, set, m.Volumes[0])
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for err == nil {
		_, err = vr.Next()
	}
	corrupt := (*chain.CorruptError)(nil)
	if !errors.Is(err, context.Canceled) || errors.As(err, &corrupt) {
		t.Errorf("error %v", err)
	}
	if err := vr.Close(); err != nil {
		t.Error(err)
	}
}

func TestBadManifests(t *testing.T) {
	st, set, _ := written(t)
	r := &chain.Repository{Store: st}
	for name, text := range map[string]string{
		"empty":      "",
		"no volumes": "Hostname h\nLocaldir d\nFilelist 0\n",
		"garbage":    "Volume x:\n",
		"unsafe":     "Volume 1:\n    StartingPath   ../a  \n    EndingPath     b  \n",
	} {
		put(t, st, set.Manifest.Key, []byte(text))
		_, err := r.Manifest(t.Context(), set)
		corrupt := (*chain.CorruptError)(nil)
		if !errors.As(err, &corrupt) || corrupt.Object != set.Manifest.Key {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if err := st.Delete(t.Context(), set.Manifest.Key); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Manifest(t.Context(), set); !errors.Is(err, store.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, err := r.Manifest(t.Context(), &chain.Set{SetID: full(1)}); err == nil {
		t.Error("a set without manifest gives one")
	}
}

// What cannot be decrypted is the object's error, with its reason.
func TestKeys(t *testing.T) {
	c := treetest.LoadCase(t, "gpg-symmetric")
	r, col := openCase(t, c)
	set := col.Latest().Sets[0]
	m, err := r.Manifest(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	for pass, want := range map[string]error{"": pgp.ErrNoPassphrase, "wrong": pgp.ErrWrongPassphrase} {
		var opt pgp.Options
		opt.GnuPGHome, opt.GPG = t.TempDir(), "/no/gpg"
		if pass != "" {
			opt.Passphrase = pgp.Passphrase([]byte(pass))
		}
		r.Keys = pgp.NewKeyring(opt)
		_, merr := r.Manifest(t.Context(), set)
		_, verr := readVolume(t.Context(), r, set, m.Volumes[0])
		_, serr := signatures(r, set)
		for what, err := range map[string]error{"manifest": merr, "volume": verr, "signatures": serr} {
			corrupt := (*chain.CorruptError)(nil)
			if !errors.Is(err, want) || !errors.As(err, &corrupt) {
				t.Errorf("passphrase %q, %s: %v, want %v", pass, what, err, want)
			}
		}
	}
}

// A manifest that takes more memory than it may is not damaged: who gives more reads it.
func TestManifestMemory(t *testing.T) {
	r, col := openCase(t, treetest.LoadCase(t, "multivol-gz"))
	set := col.Latest().Sets[0]
	r.ManifestMemory = 300
	_, err := r.Manifest(t.Context(), set)
	if corrupt := (*chain.CorruptError)(nil); !errors.Is(err, manifest.ErrTooLarge) || errors.As(err, &corrupt) {
		t.Errorf("in 300 bytes: %v", err)
	}
	r.ManifestMemory = 300_000
	if _, err := r.Manifest(t.Context(), set); err != nil {
		t.Error(err)
	}
}

func TestGpgsm(t *testing.T) {
	st := storetest.NewMem()
	name := naming.Name{Kind: naming.Manifest, End: day(1), Encrypted: true, CMS: true}
	put(t, st, naming.Scheme{}.Format(name), nil)
	_, err := (&chain.Repository{Store: st}).Manifest(t.Context(), load(t, st).Latest().Sets[0])
	corrupt := (*chain.CorruptError)(nil)
	if !errors.As(err, &corrupt) || !strings.Contains(err.Error(), "gpgsm") {
		t.Errorf("error %v", err)
	}
}

// Every signature archive of the golden repositories can be read, too, and a volume
// that must be signed is.
func TestSignKey(t *testing.T) {
	c := treetest.LoadCase(t, "gpg-pubkey-sign")
	r, col := openCase(t, c)
	set := col.Latest().Sets[0]
	m, err := r.Manifest(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	key := c.Option("--sign-key")
	if key == "" {
		key = c.Option("--encrypt-sign-key")
	}
	r.SignKey = key
	if _, err := readVolume(t.Context(), r, set, m.Volumes[0]); err != nil || key == "" {
		t.Errorf("signed by %q: %v", key, err)
	}
	r.SignKey = "0123456789ABCDEF"
	if _, err := readVolume(t.Context(), r, set, m.Volumes[0]); !errors.Is(err, pgp.ErrSignature) {
		t.Errorf("signed by another: %v", err)
	}
}
