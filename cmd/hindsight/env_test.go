package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Children, a gpg-agent that outlives the run among them, get no passphrase, nor the
// keys to the store.
func TestSecretsLeaveEnvironment(t *testing.T) {
	t.Setenv("PASSPHRASE", "secret")
	t.Setenv("SIGN_PASSPHRASE", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("OTHER", "seen")
	lookup := withoutSecrets()
	for name, want := range map[string]string{"PASSPHRASE": "secret", "SIGN_PASSPHRASE": "", "AWS_SECRET_ACCESS_KEY": "secret", "OTHER": "seen"} {
		if got, ok := lookup(name); got != want || !ok {
			t.Errorf("%s is %q, %t, want %q", name, got, ok, want)
		}
	}
	if i := slices.IndexFunc(os.Environ(), func(s string) bool { return strings.Contains(s, "PASSPHRASE=") || strings.Contains(s, "SECRET") }); i >= 0 {
		t.Errorf("children get a secret")
	}
	if _, ok := lookup("HINDSIGHT_NO_SUCH_VARIABLE"); ok {
		t.Error("a variable that is not set was found")
	}
}
