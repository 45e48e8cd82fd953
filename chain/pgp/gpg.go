package pgp

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

const (
	// maxPassphrase fits a pipe's buffer, so that nobody waits on either end; gpg
	// itself takes less.
	maxPassphrase = 16 << 10

	// gpgPatience is how long after its end gpg may hold its pipes open.
	gpgPatience = 10 * time.Second

	// gpgAtOnce bounds the runs that ask gpg-agent for a session key: it works on one
	// at a time, in locked memory that many at once exhaust.
	gpgAtOnce = 4

	// maxAskAgain bounds how often a Keyring asks gpg again, over all messages.
	maxAskAgain = 4
)

// askAgainAfter is when gpg is asked again for a secret key that it said not to have.
var askAgainAfter = [...]time.Duration{time.Second / 4, time.Second}

// gpg prepares a run of gpg; stdin and stdout are the caller's to set. The passphrase
// goes through a pipe, never through argv; nil: gpg-agent knows or asks.
func (kr *Keyring) gpg(ctx context.Context, pass []byte, args ...string) (*exec.Cmd, func(), error) {
	all := []string{"--batch", "--no-tty", "--no-secmem-warning"}
	if kr.opt.GnuPGHome != "" {
		all = append(all, "--homedir", kr.opt.GnuPGHome)
	}
	done := func() {}
	var files []*os.File
	if pass != nil {
		r, err := passphrasePipe(pass)
		if err != nil {
			return nil, nil, err
		}
		done = func() { r.Close() }
		files = []*os.File{r}
		all = append(all, "--pinentry-mode", "loopback", "--passphrase-fd", "3")
	}
	cmd := exec.CommandContext(ctx, kr.opt.GPG, append(all, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.ExtraFiles = files
	cmd.WaitDelay = gpgPatience
	return cmd, done, nil
}

// passphrasePipe is the reading end of a pipe that holds the passphrase.
func passphrasePipe(pass []byte) (*os.File, error) {
	if len(pass) > maxPassphrase {
		return nil, errors.New("passphrase is too long")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	_, err = w.Write(append(bytes.Clone(pass), '\n'))
	if err = errors.Join(err, w.Close()); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// agentPass is what to hand to gpg: nothing when the agent is to ask.
func (kr *Keyring) agentPass(from func() ([]byte, error)) ([]byte, error) {
	if kr.opt.UseAgent {
		return nil, nil
	}
	p, err := from()
	if p == nil {
		p = []byte{}
	}
	return p, err
}

// exportKey asks gpg for a public key; an unknown one gives no bytes.
func (kr *Keyring) exportKey(ctx context.Context, id string) ([]byte, error) {
	cmd, done, err := kr.gpg(ctx, nil, "--export", "--", id)
	if err != nil {
		return nil, err
	}
	defer done()
	out := limitedBuffer{limit: maxKeyFile}
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return nil, gpgError(ctx, err)
	}
	return out.buf, nil
}

// gpgError is a failure to run gpg, without its chatter.
func gpgError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case isMissing(err):
		return fmt.Errorf("%w: gpg is not installed", ErrNoKey)
	default:
		return fmt.Errorf("run gpg: %w", err)
	}
}

// openByGPG has gpg tell the session key of the packets alone: the bulk of the
// message is never gpg's, and secret keys never leave its agent.
func (kr *Keyring) openByGPG(ctx context.Context, l *eskList, fits func(SessionKey) bool) (openedKey, error) {
	pass, err := kr.agentPass(kr.pass)
	if err != nil {
		return openedKey{}, err
	}
	if len(l.public) == 0 && (len(l.symmetric) == 0 || !kr.opt.UseAgent) {
		return openedKey{}, errNotThisWay
	}
	sk, err := kr.askGPG(ctx, l, pass)
	for _, pause := range askAgainAfter {
		if !errors.Is(err, ErrNoSecretKey) || kr.askedAgain.Add(1) > maxAskAgain {
			break
		}
		// gpg says so, too, when its agent is out of memory, just ending or not yet up.
		if err := sleep(ctx, pause); err != nil {
			return openedKey{}, err
		}
		sk, err = kr.askGPG(ctx, l, pass)
	}
	switch {
	case err == errNoGPG:
		return openedKey{}, fmt.Errorf("%w, and gpg is not installed", noSecretKey(l))
	case err != nil:
		return openedKey{}, err
	case !fits(sk) && len(l.public) == 0:
		return openedKey{}, ErrWrongPassphrase
	case !fits(sk):
		return openedKey{}, errMisfit
	default:
		return openedKey{sk, false}, nil
	}
}

// askGPG is one run of gpg for openByGPG.
func (kr *Keyring) askGPG(ctx context.Context, l *eskList, pass []byte) (SessionKey, error) {
	select {
	case kr.asking <- struct{}{}:
		defer func() { <-kr.asking }()
	case <-ctx.Done():
		return SessionKey{}, ctx.Err()
	}
	cmd, done, err := kr.gpg(ctx, pass, "--status-fd", "1", "--show-session-key",
		"--yes", "--output", os.DevNull, "--decrypt")
	if err != nil {
		return SessionKey{}, err
	}
	defer done()
	out := limitedBuffer{limit: 1 << 20}
	cmd.Stdin, cmd.Stdout = bytes.NewReader(l.withDecoy()), &out
	// gpg fails in any case: there is nothing behind the packets to decrypt.
	err = cmd.Run()
	switch {
	case err == nil || isExit(err):
		return parseStatus(out.buf, l)
	case isMissing(err):
		return SessionKey{}, errNoGPG
	default:
		return SessionKey{}, fmt.Errorf("%w: run gpg: %w", ErrDecrypt, err)
	}
}

// sleep waits, or returns the error of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errNoGPG = errors.New("gpg is not installed")

// isMissing reports whether gpg could not be started because it is not there.
func isMissing(err error) bool {
	return errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist)
}

func isExit(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.Exited()
}

// withDecoy is the packets and a SEIPD packet of the least size, without meaning.
func (l *eskList) withDecoy() []byte {
	body := make([]byte, 1+maxBlockSize+2+mdcSize)
	body[0] = 1
	return appendPacket(bytes.Clone(l.raw), tagSEIPD, body)
}

// parseStatus finds the session key, or the reason for its lack, in gpg's status lines.
func parseStatus(out []byte, l *eskList) (SessionKey, error) {
	result := fmt.Errorf("%w: gpg gave no session key", ErrDecrypt)
	tried := false // gpg has a secret key that may be the one
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "[GNUPG:]" {
			continue
		}
		switch f[1] {
		case "SESSION_KEY":
			if len(f) > 2 {
				return parseSessionKey(f[2])
			}
		case "KEY_CONSIDERED":
			tried = true
		case "NO_SECKEY":
			result = noSecretKey(l)
			if tried && l.hidden() {
				result = fmt.Errorf("%w, or a wrong passphrase for it", result)
			}
		case "BAD_PASSPHRASE", "MISSING_PASSPHRASE":
			return SessionKey{}, ErrWrongPassphrase
		case "ERROR":
			if len(f) > 3 && f[2] == "pkdecrypt_failed" {
				result = agentFailure(f[3])
			}
		}
	}
	return SessionKey{}, result
}

// agentFailure reads a libgpg-error code, of which the low 16 bits are the error.
func agentFailure(code string) error {
	const (
		badPassphrase = 11
		noPassphrase  = 177 // no pin entry, or cancelled ones
		canceled      = 99
	)
	n, _ := strconv.ParseUint(code, 10, 32)
	switch n & 0xFFFF {
	case badPassphrase:
		return ErrWrongPassphrase
	case noPassphrase, canceled:
		return ErrNoPassphrase
	}
	return fmt.Errorf("%w: gpg-agent error %d", ErrDecrypt, n&0xFFFF)
}

// parseSessionKey reads ALGO:HEX. Its errors do not quote it.
func parseSessionKey(s string) (SessionKey, error) {
	algo, digits, _ := strings.Cut(s, ":")
	n, err := strconv.ParseUint(algo, 10, 8)
	if err != nil {
		return SessionKey{}, fmt.Errorf("%w: unreadable session key from gpg", ErrDecrypt)
	}
	key, err := hex.DecodeString(digits)
	if err != nil || len(key) != cipherID(n).keySize() {
		return SessionKey{}, fmt.Errorf("%w: session key from gpg for cipher algorithm %d", ErrUnsupported, n)
	}
	return SessionKey{cipherID(n), key}, nil
}

// gpgSigner learns by a trial signature which key gpg signs with, and how.
func (kr *Keyring) gpgSigner(ctx context.Context, id string) (*signingKey, error) {
	users := []string{id}
	if _, err := hexID(id); err == nil && !strings.HasSuffix(id, "!") {
		users = []string{id + "!", id} // that very key if it can sign: see pickSigner
	}
	var first error
	for _, user := range users {
		var out bytes.Buffer
		stream, err := kr.startSign(ctx, user, &out)
		if err == nil {
			err = stream.Close()
		}
		var sig *packet.Signature
		if err == nil {
			sig, err = parseSignature(out.Bytes())
		}
		if err == nil {
			return newGPGSigner(kr, user, sig)
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

func newGPGSigner(kr *Keyring, user string, sig *packet.Signature) (*signingKey, error) {
	k := &signingKey{kr: kr, user: user, hash: sig.Hash, algo: byte(sig.PubKeyAlgo), id: *sig.IssuerKeyId}
	for id := range byte(12) {
		if h, ok := hashByID(id); ok && h == sig.Hash {
			k.hashID = id
			return k, nil
		}
	}
	return nil, fmt.Errorf("%w: gpg signs with hash %v", ErrUnsupported, sig.Hash)
}

// gpgStream is a running gpg that is fed through a pipe.
type gpgStream struct {
	cancel context.CancelFunc
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	status limitedBuffer
}

// startSign starts a detached signature of what is written, into out.
func (kr *Keyring) startSign(ctx context.Context, user string, out *bytes.Buffer) (*gpgStream, error) {
	pass, err := kr.agentPass(kr.signPass)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &gpgStream{cancel: cancel, status: limitedBuffer{limit: 64 << 10}}
	cmd, done, err := kr.gpg(ctx, pass, "--status-fd", "2", "--local-user", user, "--output", "-", "--detach-sign")
	if err == nil {
		defer done()
		s.cmd = cmd
		cmd.Stdout, cmd.Stderr = out, &s.status
		s.stdin, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, gpgError(ctx, err)
	}
	return s, nil
}

func (s *gpgStream) Write(p []byte) (int, error) { return s.stdin.Write(p) }

// Close ends the input and waits for the signature.
func (s *gpgStream) Close() error {
	defer s.cancel()
	err := s.stdin.Close()
	if werr := s.cmd.Wait(); werr != nil {
		return signFailure(s.status.buf, werr)
	}
	return err
}

// Abort kills gpg.
func (s *gpgStream) Abort() error {
	s.cancel()
	s.stdin.Close()
	s.cmd.Wait() // killed: its status says nothing
	return nil
}

// signFailure reads gpg's status lines for the reason.
func signFailure(status []byte, err error) error {
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] != "[GNUPG:]" {
			continue
		}
		code := uint64(0)
		if f[1] == "FAILURE" && len(f) > 3 {
			code, _ = strconv.ParseUint(f[3], 10, 32)
		}
		switch {
		case f[1] == "BAD_PASSPHRASE" || code&0xFFFF == 11:
			return ErrWrongPassphrase
		case f[1] == "INV_SGNR" || code&0xFFFF == 17:
			return ErrNoSecretKey
		}
	}
	return fmt.Errorf("%w: gpg --detach-sign: %w", ErrNoKey, err)
}

// limitedBuffer takes up to limit bytes and drops the rest.
type limitedBuffer struct {
	buf   []byte
	limit int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.buf = append(b.buf, p[:min(len(p), b.limit-len(b.buf))]...)
	return len(p), nil
}
