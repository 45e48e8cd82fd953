#!/bin/sh
# Makes keys.asc, the throwaway keys of the tests (passphrase "correct horse ünd"):
# rsa and ecc encrypt and sign, sign only signs, sub signs with a subkey alone.
set -eu
home=$(mktemp -d)
trap 'gpgconf --homedir "$home" --kill gpg-agent; rm -rf "$home"' EXIT
pass='correct horse ünd'
run() { gpg --homedir "$home" --batch --no-tty --pinentry-mode loopback --passphrase "$pass" "$@"; }
fpr() { gpg --homedir "$home" --with-colons --list-keys "=$1" | awk -F: '$1 == "fpr" {print $10; exit}'; }
run --quick-generate-key rsa rsa2048 sign never
run --quick-add-key "$(fpr rsa)" rsa2048 encr never
run --quick-generate-key ecc ed25519 sign never
run --quick-add-key "$(fpr ecc)" cv25519 encr never
run --quick-generate-key sign rsa2048 sign never
run --quick-generate-key sub ed25519 cert never
run --quick-add-key "$(fpr sub)" ed25519 sign never
run --armor --export-secret-keys >keys.asc
