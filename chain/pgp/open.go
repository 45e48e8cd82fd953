package pgp

import (
	"context"
	"errors"
	"fmt"
	"strings"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
)

// openedKey is a session key and how it was found.
type openedKey struct {
	SessionKey
	byPassphrase bool // derived or unwrapped with a passphrase, so perhaps wrong
}

// SessionKey finds the session key of a message with MDC from its session key packets,
// as ReadESK gives them, and the first PrefixSize encrypted octets of its body. It
// costs nothing for packets that were opened before. Errors as for NewReader.
func (kr *Keyring) SessionKey(ctx context.Context, esk, prefix []byte) (SessionKey, error) {
	list, err := parseESK(esk)
	if err != nil {
		return SessionKey{}, fmt.Errorf("%w: session key packets: %w", ErrIntegrity, err)
	}
	sealed := cfbBody{head: prefix}
	key, err := kr.open(ctx, &list, sealed.fits)
	return key.SessionKey, err
}

// open finds the session key of a message, for which fits is a quick test.
func (kr *Keyring) open(ctx context.Context, l *eskList, fits func(SessionKey) bool) (openedKey, error) {
	key, fresh, err := kr.sessions.get(ctx, l.digest(), func() (openedKey, error) { return kr.resolve(ctx, l, fits) })
	if err == nil && !fresh && !fits(key.SessionKey) {
		err = errMisfit
	}
	return key, err
}

// resolve tries all ways: secret keys in files, the passphrase, gpg.
func (kr *Keyring) resolve(ctx context.Context, l *eskList, fits func(SessionKey) bool) (openedKey, error) {
	ways := []func(context.Context, *eskList, func(SessionKey) bool) (openedKey, error){
		kr.openByFile, kr.openByPassphrase, kr.openByGPG,
	}
	var reasons []error
	for _, way := range ways {
		key, err := way(ctx, l, fits)
		switch {
		case err == nil:
			return key, nil
		case ctx.Err() != nil:
			return openedKey{}, ctx.Err()
		case err != errNotThisWay:
			reasons = append(reasons, err)
		}
	}
	return openedKey{}, mostTelling(reasons, l)
}

// errNotThisWay: the message has no packet for this way.
var errNotThisWay = errors.New("no such packet")

// mostTelling picks one line out of what each way said: a lack of secret keys is told
// only where nothing else went wrong.
func mostTelling(reasons []error, l *eskList) error {
	for _, err := range reasons {
		if !errors.Is(err, ErrNoSecretKey) {
			return err
		}
	}
	switch {
	case len(reasons) > 0:
		return reasons[len(reasons)-1]
	case l.other != nil && errors.Is(l.other, ErrDecrypt):
		return l.other
	case l.other != nil:
		return fmt.Errorf("%w: %w", ErrIntegrity, l.other)
	default:
		return fmt.Errorf("%w: message without a session key packet", ErrUnsupported)
	}
}

// openByPassphrase tries the passphrase on each packet for one.
func (kr *Keyring) openByPassphrase(ctx context.Context, l *eskList, fits func(SessionKey) bool) (openedKey, error) {
	if len(l.symmetric) == 0 {
		return openedKey{}, errNotThisWay
	}
	if kr.opt.UseAgent {
		if p, err := kr.pass(); err == nil && len(p) == 0 {
			return openedKey{}, errNotThisWay // gpg will ask
		}
	}
	result := errPassphraseOrDamage
	for _, p := range l.symmetric {
		size := p.algo.keySize()
		if size == 0 {
			result = fmt.Errorf("%w: cipher algorithm %d", ErrUnsupported, p.algo)
			continue
		}
		key, err := kr.derive(ctx, p.s2k, size)
		if err != nil {
			return openedKey{}, err
		}
		sk, err := p.open(key)
		switch {
		case err != nil: // none that fits comes of it
		case fits(sk):
			return openedKey{sk, true}, nil
		case p.mode != 0:
			result = errMisfit // the passphrase is proved right
		}
	}
	return openedKey{}, result
}

// openByFile tries the secret keys in files on each packet for a recipient.
func (kr *Keyring) openByFile(_ context.Context, l *eskList, fits func(SessionKey) bool) (openedKey, error) {
	if len(l.public) == 0 || len(kr.opt.KeyFiles) == 0 {
		return openedKey{}, errNotThisWay
	}
	files, err := kr.files()
	if err != nil {
		return openedKey{}, err
	}
	result := noSecretKey(l)
	for _, p := range l.public {
		for _, priv := range secretKeys(files, p.id) {
			if err := kr.unlockKey(priv, kr.pass, kr.signPass); err != nil {
				result = err
				continue
			}
			ek, err := p.parse()
			if err != nil {
				result = fmt.Errorf("%w: recipient packet: %w", ErrUnsupported, err)
				break
			}
			var unknown pgperrors.UnsupportedError
			switch err := ek.Decrypt(priv, nil); {
			case errors.As(err, &unknown):
				result = fmt.Errorf("%w: cipher algorithm %d with a secret key from a file; import the key into gpg, which can do it",
					ErrUnsupported, ek.CipherFunc)
				continue
			case err != nil:
				continue // a hidden recipient is someone else
			}
			if sk := (SessionKey{cipherID(ek.CipherFunc), ek.Key}); fits(sk) {
				return openedKey{sk, false}, nil
			}
			result = errMisfit
		}
	}
	return openedKey{}, result
}

// noSecretKey names the recipients.
func noSecretKey(l *eskList) error {
	var ids []string
	for _, p := range l.public {
		if p.id == 0 {
			ids = append(ids, "hidden")
			continue
		}
		ids = append(ids, fmt.Sprintf("%016X", p.id))
	}
	return fmt.Errorf("%w for %s", ErrNoSecretKey, strings.Join(ids, ", "))
}
