package pgp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/zeebo/blake3"
)

// Options say where keys and passphrases come from. The zero value has gpg alone, as
// the user has set it up.
type Options struct {
	// Passphrase gives the passphrase for symmetric messages and for secret keys; nil
	// or an empty result: there is none. It is asked once at most, when first needed,
	// and cut at the first line feed, as gpg does.
	Passphrase func() ([]byte, error)
	// SignPassphrase is for the signing key alone; nil or empty: Passphrase.
	SignPassphrase func() ([]byte, error)
	// KeyFiles are files of public and secret keys, armored or not. They are read
	// when a key is first needed, and come before gpg's.
	KeyFiles []string
	// GnuPGHome is gpg's home directory; empty: gpg's own choice.
	GnuPGHome string
	// GPG is the gpg program, empty: "gpg". It is run for keys that no key file holds.
	GPG string
	// UseAgent leaves passphrases to gpg-agent and its pinentry: Passphrase is not
	// given to gpg. A symmetric message for which there is no Passphrase is put to the agent too.
	UseAgent bool
	// S2KCount is the number of bytes hashed to make a key from a passphrase in what is
	// written, 1024 to 65011712, rounded up to the next that OpenPGP can express;
	// 0: 65011712, which is gpg's.
	S2KCount int
	// Now is the clock for signatures and the validity of keys; nil: time.Now.
	Now func() time.Time
}

// Passphrase makes a constant Options.Passphrase of p, which is not copied.
func Passphrase(p []byte) func() ([]byte, error) {
	return func() ([]byte, error) { return p, nil }
}

// Bounds of what a Keyring remembers, in entries.
const (
	maxS2Ks     = 256
	maxSessions = 256
	maxPublic   = 64
)

// SessionKey is the symmetric key of one or more messages. It is a secret: it has no
// text form.
type SessionKey struct {
	algo cipherID
	key  []byte
}

// String hides the key from all formatting.
func (SessionKey) String() string { return "session key" }

// GoString hides the key from all formatting.
func (SessionKey) GoString() string { return "session key" }

// Derive makes a key for another purpose, of which the session key cannot be told: to
// seal, on this machine, what was learned of the message. purpose is a constant that
// nothing else uses.
func (k SessionKey) Derive(purpose string) [32]byte {
	var out [32]byte
	blake3.DeriveKey(purpose, append([]byte{byte(k.algo)}, k.key...), out[:])
	return out
}

// Keyring is what can decrypt, encrypt, sign and verify. It remembers what it derives
// (keys from passphrases, session keys by their exact ESK packets), so that the many
// objects of a set or chain pay once. Safe for concurrent use.
type Keyring struct {
	opt      Options
	pass     func() ([]byte, error)
	signPass func() ([]byte, error)
	files    func() (openpgp.EntityList, error)
	unlock   sync.Mutex // held while a secret key of files is unlocked

	asking     chan struct{} // holds one element for each run of gpg that asks its agent
	askedAgain atomic.Int32

	derived  *flight[derivedID, []byte]
	sessions *flight[[sha256.Size]byte, openedKey]
	public   *flight[string, openpgp.EntityList]
}

// derivedID names a key made from the passphrase.
type derivedID struct {
	s2k  s2k
	size int // bytes
}

// NewKeyring makes a Keyring. Nothing is read, asked or run before it is needed.
func NewKeyring(opt Options) *Keyring {
	if opt.GPG == "" {
		opt.GPG = "gpg"
	}
	if opt.S2KCount == 0 {
		opt.S2KCount = maxCount
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	pass := sync.OnceValues(firstLine(opt.Passphrase))
	signPass := pass
	if opt.SignPassphrase != nil {
		own := sync.OnceValues(firstLine(opt.SignPassphrase))
		signPass = func() ([]byte, error) {
			if p, err := own(); err != nil || len(p) > 0 {
				return p, err
			}
			return pass()
		}
	}
	return &Keyring{
		opt:      opt,
		pass:     pass,
		signPass: signPass,
		asking:   make(chan struct{}, gpgAtOnce),
		files:    sync.OnceValues(func() (openpgp.EntityList, error) { return readKeyFiles(opt.KeyFiles) }),
		derived:  newFlight[derivedID, []byte](maxS2Ks),
		sessions: newFlight[[sha256.Size]byte, openedKey](maxSessions),
		public:   newFlight[string, openpgp.EntityList](maxPublic),
	}
}

// firstLine cuts what f gives at the first line feed, as gpg --passphrase-fd does.
func firstLine(f func() ([]byte, error)) func() ([]byte, error) {
	return func() ([]byte, error) {
		if f == nil {
			return nil, nil
		}
		p, err := f()
		if err != nil {
			return nil, err
		}
		line, _, _ := bytes.Cut(p, []byte("\n"))
		return bytes.Clone(line), nil
	}
}

// passphrase is the passphrase for symmetric messages, or ErrNoPassphrase.
func (kr *Keyring) passphrase() ([]byte, error) {
	p, err := kr.pass()
	if err != nil {
		return nil, err
	}
	if len(p) == 0 {
		return nil, ErrNoPassphrase
	}
	return p, nil
}

// derive makes a key of size bytes from the passphrase.
func (kr *Keyring) derive(ctx context.Context, s s2k, size int) ([]byte, error) {
	p, err := kr.passphrase()
	if err != nil {
		return nil, err
	}
	key, _, err := kr.derived.get(ctx, derivedID{s, size}, func() ([]byte, error) { return s.key(p, size) })
	return key, err
}
