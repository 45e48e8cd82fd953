package treetest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Algorithms of GPG.NewKey, as gpg names them.
const (
	RSA2048    = "rsa2048"
	Curve25519 = "curve25519"
)

// GPG is a GnuPG home of one test, with an agent of its own.
type GPG struct {
	Home string // for GNUPGHOME
}

// GPGKey is a key of a GPG home.
type GPGKey struct {
	Fingerprint string // of the primary key, 40 upper-case hex digits
	Subkey      string // fingerprint of the encryption subkey
	Passphrase  string
}

// ID is the long key id: the last 16 digits of the fingerprint.
func (k GPGKey) ID() string { return k.Fingerprint[len(k.Fingerprint)-16:] }

// GPGHome makes an empty GnuPG home and skips the test where gpg is not installed.
// Its agent ends with the test. The path is short: those of the agent's sockets
// must stay under 108 bytes, and a test's own temporary folder is often longer.
// Passphrases are stretched 65,536 bytes long, where gpg's own default takes up to
// half a second each time: give --s2k-count 65011712 to get what users have.
func GPGHome(t testing.TB) *GPG {
	t.Helper()
	NeedTool(t, "gpg")
	conf := NeedTool(t, "gpgconf")
	home, err := os.MkdirTemp("/tmp", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(conf, "--homedir", home, "--kill", "all").CombinedOutput(); err != nil {
			t.Errorf("stop agent: %v\n%s", err, out)
		}
		// The sockets may live outside the home, under /run/user.
		_ = exec.Command(conf, "--homedir", home, "--remove-socketdir").Run()
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	conffile := "pinentry-mode loopback\nbatch\nno-tty\ntrust-model always\n"
	if err := os.WriteFile(filepath.Join(home, "gpg.conf"), []byte(conffile), 0o600); err != nil {
		t.Fatal(err)
	}
	conffile = "allow-loopback-pinentry\ns2k-count 65536\n"
	if err := os.WriteFile(filepath.Join(home, "gpg-agent.conf"), []byte(conffile), 0o600); err != nil {
		t.Fatal(err)
	}
	return &GPG{Home: home}
}

// Env is the test's environment with this home, to hand to a child.
func (g *GPG) Env(more ...string) []string {
	return Environ(append([]string{"GNUPGHOME=" + g.Home, "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "GPG_AGENT_INFO"}, more...)...)
}

// Run runs gpg. A passphrase that is not empty goes to it through a pipe, so that
// it is in no list of processes; stdin is free for data.
func (g *GPG) Run(t testing.TB, passphrase string, stdin []byte, args ...string) Result {
	t.Helper()
	all := []string{"--batch", "--no-tty"}
	cmd := exec.CommandContext(t.Context(), "gpg")
	if passphrase != "" {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		// A passphrase fits a pipe's buffer, so no reader is needed yet.
		_, err = w.WriteString(passphrase + "\n")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		cmd.ExtraFiles = []*os.File{r}
		all = append(all, "--pinentry-mode", "loopback", "--passphrase-fd", "3")
	}
	cmd.Args = append(append(cmd.Args, all...), args...)
	cmd.Env, cmd.Stdin = g.Env(), bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatalf("run gpg: %v", err)
	}
	return Result{Args: cmd.Args, Stdout: stdout.String(), Stderr: stderr.String(), ExitCode: cmd.ProcessState.ExitCode()}
}

// NewKey makes a key that signs, with a subkey that encrypts, and does not expire.
func (g *GPG) NewKey(t testing.TB, algorithm, passphrase string) GPGKey {
	t.Helper()
	known := g.Keys(t)
	primary, sub := algorithm, algorithm
	if algorithm == Curve25519 {
		primary, sub = "ed25519", "cv25519"
	}
	protect := []string{}
	if passphrase == "" {
		protect = []string{"--pinentry-mode", "loopback", "--passphrase", ""}
	}
	run := func(args ...string) {
		t.Helper()
		g.Run(t, passphrase, nil, append(protect, args...)...).OK(t)
	}
	run("--quick-gen-key", algorithm+" test key <"+algorithm+"@example.org>", primary, "cert,sign", "never")
	key := newest(t, g.Keys(t), known)
	run("--quick-add-key", key.Fingerprint, sub, "encrypt", "never")
	for _, k := range g.Keys(t) {
		if k.Fingerprint == key.Fingerprint {
			key = k
		}
	}
	key.Passphrase = passphrase
	return key
}

// newest is the key of now that is not among those of before.
func newest(t testing.TB, now, before []GPGKey) GPGKey {
	t.Helper()
	old := make(map[string]bool)
	for _, k := range before {
		old[k.Fingerprint] = true
	}
	for _, k := range now {
		if !old[k.Fingerprint] {
			return k
		}
	}
	t.Fatal("gpg made no key")
	return GPGKey{}
}

// Keys lists the public keys of the home, without their passphrases.
func (g *GPG) Keys(t testing.TB) []GPGKey {
	t.Helper()
	out := g.Run(t, "", nil, "--with-colons", "--fingerprint", "--fingerprint", "--list-keys").OK(t).Stdout
	var keys []GPGKey
	sub := false
	for line := range strings.Lines(out) {
		fields := strings.Split(line, ":")
		switch {
		case fields[0] == "pub":
			keys, sub = append(keys, GPGKey{}), false
		case fields[0] == "sub":
			sub = true
		case fields[0] == "fpr" && len(fields) > 9 && len(keys) > 0:
			if last := &keys[len(keys)-1]; sub {
				last.Subkey = fields[9]
			} else {
				last.Fingerprint = fields[9]
			}
		}
	}
	return keys
}

// Import imports key files, armored or not; secret keys come with their passphrase.
func (g *GPG) Import(t testing.TB, files ...string) {
	t.Helper()
	g.Run(t, "", nil, append([]string{"--import"}, files...)...).OK(t)
}

// ImportCase imports all keys of a golden repository, secret ones too.
func (g *GPG) ImportCase(t testing.TB, c *Case) {
	t.Helper()
	for _, key := range c.Keys {
		g.Import(t, key.Public, key.Secret)
	}
}

// Export returns a key, armored.
func (g *GPG) Export(t testing.TB, key GPGKey) string {
	t.Helper()
	return g.Run(t, "", nil, "--armor", "--export", key.Fingerprint).OK(t).Stdout
}

// ExportSecret returns a secret key, armored and still under its passphrase.
func (g *GPG) ExportSecret(t testing.TB, key GPGKey) string {
	t.Helper()
	return g.Run(t, key.Passphrase, nil, "--armor", "--export-secret-keys", key.Fingerprint).OK(t).Stdout
}
