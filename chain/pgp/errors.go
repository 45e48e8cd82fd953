package pgp

import (
	"errors"
	"fmt"
)

// ErrDecrypt is the kind of all errors that mean that a message cannot be
// decrypted, or that what was decrypted is not what had been encrypted.
var ErrDecrypt = errors.New("cannot decrypt")

// ErrLocked is the kind of those of them that mean that not the message is at fault but
// that the key to it is not here.
var ErrLocked = errors.New("locked")

// The reasons for an ErrDecrypt; errors.Is(err, ErrDecrypt) holds for each.
var (
	// ErrNoPassphrase: the message needs a passphrase and none was given. It is an ErrLocked.
	ErrNoPassphrase error = &reason{"no passphrase given", true}
	// ErrWrongPassphrase: the passphrase does not fit the message, or does not
	// unlock the secret key. It is an ErrLocked.
	ErrWrongPassphrase error = &reason{"wrong passphrase", true}
	// ErrNoSecretKey: no secret key for any recipient of the message. It is an ErrLocked.
	ErrNoSecretKey error = &reason{"no secret key", true}
	// ErrIntegrity: the message is damaged, cut short or was changed.
	ErrIntegrity error = &reason{"message is damaged", false}
	// ErrUnsupported: an algorithm or packet that this package does not read.
	ErrUnsupported error = &reason{"not supported", false}
)

// errPassphraseOrDamage is the ErrWrongPassphrase of a message whose quick check fails,
// which damage to its first octets does too.
var errPassphraseOrDamage = fmt.Errorf("%w, or the message is damaged", ErrWrongPassphrase)

// errMisfit is the ErrIntegrity of a message to which the right key does not fit.
var errMisfit = fmt.Errorf("%w: its first octets do not match the session key", ErrIntegrity)

// ErrSignature: the message is not signed, not by the key asked for, or its
// signature is bad. It is not an ErrDecrypt.
var ErrSignature = errors.New("bad signature")

// ErrNoKey: a recipient or signing key that is unknown, ambiguous or unfit, found
// when a Session is made.
var ErrNoKey = errors.New("no usable key")

// reason is an error of the kind ErrDecrypt.
type reason struct {
	text   string
	locked bool
}

func (e *reason) Error() string { return e.text }
func (e *reason) Is(target error) bool {
	return target == ErrDecrypt || e.locked && target == ErrLocked
}
