package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hindsight/chain/treetest"
	"hindsight/s3store/s3test"
)

// s3Node is a machine that backs up to S3: the real program with a home, credentials
// and a source of its own.
type s3Node struct {
	*program
	endpoint string
	url      string
	src      string
	flags    []string // of every command
}

const s3Bucket = "backups"

// newS3Node is a machine with an account on the server at endpoint, whose backups lie
// in the bucket below a prefix. They are not encrypted. Its source is empty.
func newS3Node(t *testing.T, endpoint string, a s3test.Account, prefix string) *s3Node {
	t.Helper()
	n := &s3Node{program: newProgram(t), endpoint: endpoint, url: "s3://" + s3Bucket + "/" + prefix}
	n.src = filepath.Join(n.home, "src")
	if err := os.Mkdir(n.src, 0o755); err != nil {
		t.Fatal(err)
	}
	n.env = append(awsEnviron(n.env, a), "PASSPHRASE=")
	n.flags = []string{"--no-encryption"}
	return n
}

// awsEnviron is an environment with the credentials of an account, and none of the
// machine's own.
func awsEnviron(env []string, a s3test.Account) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
	return append(env, "AWS_ACCESS_KEY_ID="+a.Access, "AWS_SECRET_ACCESS_KEY="+a.Secret,
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true")
}

// args puts what every command needs behind the command.
func (n *s3Node) args(command string, args ...string) []string {
	all := append([]string{command, "--s3-endpoint-url", n.endpoint, "-q"}, n.flags...)
	return append(all, args...)
}

// run runs a command to its end.
func (n *s3Node) run(t *testing.T, command string, args ...string) treetest.Result {
	t.Helper()
	return treetest.Run(t, n.env, "", n.path, n.args(command, args...)...)
}

// backup backs the source up at a time, or now if that is 0, and returns its record.
func (n *s3Node) backup(t *testing.T, command string, at int64, args ...string) treetest.Tree {
	t.Helper()
	if at != 0 {
		args = append(args, "--current-time", epochText(at))
	}
	n.run(t, command, append(args, n.src, n.url)...).OK(t)
	return treetest.Record(t, n.src)
}

// restores makes sure that a restore gives a tree.
func (n *s3Node) restores(t *testing.T, want treetest.Tree, args ...string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	n.run(t, "restore", append(args, n.url, out)...).OK(t)
	treetest.Equal(t, treetest.Record(t, out), want, treetest.AsDuplicity())
	if err := os.RemoveAll(out); err != nil {
		t.Fatal(err)
	}
}

// refused makes sure that a command ends with that exit code and says so in one line,
// which has the words and no secret.
func (n *s3Node) refused(t *testing.T, code int, words string, command string, args ...string) {
	t.Helper()
	r := n.run(t, command, args...)
	what := strings.Join(append([]string{command}, args...), " ")
	if r.ExitCode != code {
		t.Errorf("%s: exit code %d, want %d\n%s", what, r.ExitCode, code, r.Output())
	}
	line := strings.TrimSuffix(r.Stderr, "\n")
	if !strings.HasPrefix(line, "hindsight: ") || strings.Contains(line, "\n") || !strings.Contains(line, words) {
		t.Errorf("%s: said %q, want one line with %q", what, r.Stderr, words)
	}
	t.Logf("%s: %s", what, line)
	for _, v := range n.env {
		secret, ok := strings.CutPrefix(v, "AWS_SECRET_ACCESS_KEY=")
		if ok && strings.Contains(r.Output(), secret) {
			t.Errorf("%s: the secret is in the output", what)
		}
	}
}
