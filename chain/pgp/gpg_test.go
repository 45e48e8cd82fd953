package pgp_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hindsight/chain/pgp"
	"hindsight/chain/treetest"
)

// gpg encrypts with every algorithm it has (duplicity-format.md §7), we read.
func TestReadGPGSymmetric(t *testing.T) {
	treetest.Sequential(t)
	h := newHome(t, passphrase)
	data := sample(200<<10, 1)
	kr := symmetric(passphrase)
	weak := []string{"--s2k-count", "65536"}
	cases := [][]string{
		{"--rfc2440", "--cipher-algo", "CAST5"},
		{"--rfc2440", "--cipher-algo", "AES256", "--compress-algo", "none"},
		{"--rfc4880", "--force-mdc"},
		{"--s2k-mode", "0"},
		{"--s2k-mode", "1", "--s2k-digest-algo", "SHA512"},
		{"--s2k-digest-algo", "RIPEMD160"},
		{"--s2k-digest-algo", "SHA256"},
		{"--disable-mdc", "--cipher-algo", "3DES"},
	}
	for _, c := range []string{"AES", "AES192", "AES256", "CAST5", "3DES", "BLOWFISH", "TWOFISH", "IDEA", "CAMELLIA128", "CAMELLIA192", "CAMELLIA256"} {
		for _, z := range []string{"none", "zip", "zlib", "bzip2"} {
			cases = append(cases, []string{"--cipher-algo", c, "--compress-algo", z, "--force-mdc"})
		}
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			msg := h.gpg(data, append(append(append([]string{}, weak...), c...), "--symmetric")...)
			opt := pgp.ReaderOptions{AllowUnprotected: slices.Contains(c, "AES256")}
			got, err := open(kr, msg, opt)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, data)
			r, err := pgp.NewReader(t.Context(), bytes.NewReader(msg), kr, opt)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Finish(); err != nil {
				t.Fatalf("Finish: %v", err)
			}
			wantUnprotected := c[0] == "--rfc2440"
			if r.Unprotected() != wantUnprotected {
				t.Errorf("Unprotected = %v, want %v", r.Unprotected(), wantUnprotected)
			}
		})
	}
}

// A modern message whose MDC was taken off is refused.
func TestUnprotectedModern(t *testing.T) {
	h := newHome(t, passphrase)
	msg := h.gpg([]byte("text"), "--s2k-count", "65536", "--rfc2440", "--cipher-algo", "AES256", "--symmetric")
	_, err := open(symmetric(passphrase), msg, pgp.ReaderOptions{})
	wantErr(t, err, pgp.ErrIntegrity)
}

// We encrypt to a passphrase, gpg reads.
func TestGPGReadsSymmetric(t *testing.T) {
	treetest.Sequential(t)
	h := newHome(t, passphrase)
	for _, compress := range []bool{false, true} {
		for _, n := range []int{0, 1, 505, 506, 507, 65490, 65536, 400<<10 + 512} {
			s := session(t, symmetric(passphrase), pgp.Recipients{Symmetric: true})
			data := sample(n, uint64(n))
			msg := seal(t, s, data, 100<<10, compress)
			out, stderr, err := h.try(msg, "--decrypt")
			if err != nil {
				t.Fatalf("compress %v, %d bytes: %v\n%s", compress, n, err, stderr)
			}
			same(t, out, data)
		}
	}
}

func TestPublicKeys(t *testing.T) {
	h, k := newHomeWithKeys(t)
	rsa, ecc, sign := k.rsa, k.ecc, k.sign
	data := sample(300<<10, 2)
	keyrings := map[string]*pgp.Keyring{
		"gpg-agent":   h.keyring(pgp.Options{}),
		"armored":     withFile(passphrase, keyFile),
		"binary-file": withFile(passphrase, h.binaryKeyFile()),
	}
	type exchange struct {
		name string
		rcpt pgp.Recipients
		args []string
	}
	cases := []exchange{
		{"rsa", pgp.Recipients{Keys: []string{rsa}}, []string{"-r", rsa}},
		{"ecc", pgp.Recipients{Keys: []string{"0x" + ecc[24:]}}, []string{"-r", ecc}},
		{"both", pgp.Recipients{Keys: []string{rsa, ecc[32:]}}, []string{"-r", rsa, "-r", ecc}},
		{"hidden-rsa", pgp.Recipients{HiddenKeys: []string{rsa}}, []string{"-R", rsa}},
		{"hidden-ecc", pgp.Recipients{HiddenKeys: []string{ecc}}, []string{"-R", ecc}},
		{"hidden-both", pgp.Recipients{Keys: []string{ecc}, HiddenKeys: []string{rsa}}, []string{"-r", ecc, "-R", rsa}},
		{"rsa-and-passphrase", pgp.Recipients{Keys: []string{rsa}, Symmetric: true}, []string{"-r", rsa, "-c"}},
		{"signed-rsa", pgp.Recipients{Keys: []string{ecc}, SignKey: sign}, []string{"-r", ecc, "-u", sign, "--sign"}},
		{"signed-eddsa", pgp.Recipients{HiddenKeys: []string{rsa}, SignKey: ecc[24:]}, []string{"-R", rsa, "-u", ecc, "--sign"}},
		{"signed-by-subkey", pgp.Recipients{Keys: []string{ecc}, SignKey: k.sub}, []string{"-r", ecc, "-u", k.sub, "--sign"}},
		{"symmetric-signed", pgp.Recipients{Symmetric: true, SignKey: sign}, []string{"-c", "--s2k-count", "65536", "-u", sign, "--sign"}},
	}
	if testing.Short() {
		delete(keyrings, "binary-file")
		cases = []exchange{cases[2], cases[5], cases[8]}
	}
	for _, c := range cases {
		theirs := h.gpg(data, append(c.args, encryptFlag(c.rcpt)...)...)
		for name, kr := range keyrings {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				opt := pgp.ReaderOptions{SignKey: c.rcpt.SignKey}
				got, err := open(kr, theirs, opt)
				if err != nil {
					t.Fatalf("read gpg's: %v", err)
				}
				same(t, got, data)
				mine := seal(t, session(t, kr, c.rcpt), data, 128<<10, true)
				got, err = open(kr, mine, opt)
				if err != nil {
					t.Fatalf("read mine: %v", err)
				}
				same(t, got, data)
				checkWithGPG(t, h, mine, data, c.rcpt.SignKey)
			})
		}
	}
}

func encryptFlag(r pgp.Recipients) []string {
	if len(r.Keys)+len(r.HiddenKeys) > 0 {
		return []string{"--encrypt"}
	}
	return nil
}

func TestSignatureIsWanted(t *testing.T) {
	h, k := newHomeWithKeys(t)
	rsa, ecc, sign := k.rsa, k.ecc, k.sign
	kr := h.keyring(pgp.Options{})
	data := sample(50<<10, 3)
	plain := seal(t, session(t, kr, pgp.Recipients{Keys: []string{rsa}}), data, 1<<20, true)
	signed := seal(t, session(t, kr, pgp.Recipients{Keys: []string{rsa}, SignKey: sign}), data, 1<<20, true)
	if _, err := open(kr, plain, pgp.ReaderOptions{SignKey: sign}); true {
		wantErr(t, err, pgp.ErrSignature)
	}
	if _, err := open(kr, signed, pgp.ReaderOptions{SignKey: ecc}); true {
		wantErr(t, err, pgp.ErrSignature)
	}
	for _, id := range []string{sign, sign[24:], "0x" + sign[32:]} {
		r, err := pgp.NewReader(t.Context(), bytes.NewReader(signed), kr, pgp.ReaderOptions{SignKey: id})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Finish(); err != nil {
			t.Errorf("Finish with sign key %s: %v", id, err)
		}
	}
}

// checkWithGPG has gpg decrypt, and verify if signed.
func checkWithGPG(t *testing.T, h *home, msg, want []byte, sign string) {
	t.Helper()
	out, stderr, err := h.try(msg, "--status-fd", "2", "--decrypt")
	if err != nil {
		t.Fatalf("gpg --decrypt: %v\n%s", err, stderr)
	}
	same(t, out, want)
	if good := strings.Contains(stderr, "[GNUPG:] GOODSIG "); good != (sign != "") {
		t.Errorf("GOODSIG is %v with sign key %q\n%s", good, sign, stderr)
	}
	if !strings.Contains(stderr, "[GNUPG:] GOODMDC") {
		t.Errorf("no GOODMDC\n%s", stderr)
	}
}

// A wrong or missing passphrase or key is one clear kind of error, whoever holds the keys.
func TestWrongPassphrase(t *testing.T) {
	treetest.Sequential(t)
	h, k := newHomeWithKeys(t)
	data := sample(1000, 4)
	public := seal(t, session(t, withFile(passphrase, keyFile), pgp.Recipients{Keys: []string{k.rsa}}), data, 1<<20, true)
	private := seal(t, session(t, symmetric(passphrase), pgp.Recipients{Symmetric: true}), data, 1<<20, true)
	both := seal(t, session(t, withFile(passphrase, keyFile), pgp.Recipients{Keys: []string{k.ecc}, Symmetric: true}), data, 1<<20, true)
	const wrong = "tr0ub4dor"
	empty := newHome(t, "")
	h.forget()
	bad, none := pgp.Passphrase([]byte(wrong)), pgp.Passphrase(nil)
	cases := []struct {
		name string
		kr   *pgp.Keyring
		msg  []byte
		want error
	}{
		{"symmetric wrong", symmetric(wrong), private, pgp.ErrWrongPassphrase},
		{"symmetric none", symmetric(""), private, pgp.ErrNoPassphrase},
		{"file wrong", withFile(wrong, keyFile), public, pgp.ErrWrongPassphrase},
		{"file none", withFile("", keyFile), public, pgp.ErrNoPassphrase},
		{"agent wrong", h.keyring(pgp.Options{Passphrase: bad}), public, pgp.ErrWrongPassphrase},
		{"agent none", h.keyring(pgp.Options{Passphrase: none}), public, pgp.ErrDecrypt},
		{"agent wrong, both", h.keyring(pgp.Options{Passphrase: bad}), both, pgp.ErrWrongPassphrase},
		{"no key", empty.keyring(pgp.Options{}), public, pgp.ErrNoSecretKey},
		{"no gpg", symmetric(passphrase), public, pgp.ErrNoSecretKey},
		{"symmetric, no key", symmetric(wrong), both, pgp.ErrWrongPassphrase},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := open(c.kr, c.msg, pgp.ReaderOptions{})
			wantErr(t, err, c.want)
			wantErr(t, err, pgp.ErrDecrypt)
			secretFree(t, err, wrong, passphrase)
			t.Log(err)
		})
	}
}

// A message in a cipher that the library does not have is opened by gpg alone, and who
// has its key in a file is told so.
func TestRareCipherToKey(t *testing.T) {
	treetest.Sequential(t)
	h, k := newHomeWithKeys(t)
	data := sample(1000, 5)
	for _, key := range []string{k.rsa, k.ecc} {
		for _, c := range []string{"TWOFISH", "CAMELLIA256", "IDEA"} {
			msg := h.gpg(data, "-r", key, "--cipher-algo", c, "--force-mdc", "--encrypt")
			got, err := open(h.keyring(pgp.Options{}), msg, pgp.ReaderOptions{})
			if err != nil {
				t.Fatalf("%s: %v", c, err)
			}
			same(t, got, data)
			got, err = open(h.keyring(pgp.Options{KeyFiles: []string{keyFile}}), msg, pgp.ReaderOptions{})
			if err != nil {
				t.Fatalf("%s, file and gpg: %v", c, err)
			}
			same(t, got, data)
			_, err = open(withFile(passphrase, keyFile), msg, pgp.ReaderOptions{})
			wantErr(t, err, pgp.ErrUnsupported)
			if !strings.Contains(err.Error(), "import the key into gpg") {
				t.Error(err)
			}
		}
	}
}

func TestNewSessionErrors(t *testing.T) {
	treetest.Sequential(t)
	h, k := newHomeWithKeys(t)
	h.forget()
	bad := pgp.Options{SignPassphrase: pgp.Passphrase([]byte("tr0ub4dor"))}
	cases := []struct {
		name string
		kr   *pgp.Keyring
		rcpt pgp.Recipients
		want error
	}{
		{"unknown key", h.keyring(pgp.Options{}), pgp.Recipients{Keys: []string{"0123456789ABCDEF"}}, pgp.ErrNoKey},
		{"key cannot encrypt", h.keyring(pgp.Options{}), pgp.Recipients{Keys: []string{k.sign}}, pgp.ErrNoKey},
		{"sign passphrase", h.keyring(bad), pgp.Recipients{Keys: []string{k.rsa}, SignKey: k.sign}, pgp.ErrWrongPassphrase},
		{"unknown sign key", h.keyring(pgp.Options{}), pgp.Recipients{Keys: []string{k.rsa}, SignKey: "0123456789ABCDEF"}, pgp.ErrNoSecretKey},
		{"no passphrase", symmetric(""), pgp.Recipients{Symmetric: true}, pgp.ErrNoPassphrase},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.kr.NewSession(t.Context(), c.rcpt, pgp.SessionOptions{})
			wantErr(t, err, c.want)
			t.Log(err)
		})
	}
}

// With UseAgent gpg gets no passphrase: here the agent knows it already.
func TestUseAgent(t *testing.T) {
	h, k := newHomeWithKeys(t)
	data := sample(1000, 5)
	msg := h.gpg(data, "-r", k.rsa, "--encrypt")
	h.gpg(msg, "--decrypt") // the agent learns the passphrase
	never := func() ([]byte, error) { t.Error("asked for the passphrase"); return nil, nil }
	got, err := open(h.keyring(pgp.Options{Passphrase: never, UseAgent: true}), msg, pgp.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, data)
}
