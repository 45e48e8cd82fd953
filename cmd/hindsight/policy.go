package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hindsight/s3store"
)

func newPolicy(j *job) *cobra.Command {
	var o s3store.PolicyOptions
	return j.build(operation{
		use: "policy URL", short: "Print the least-privilege policy for a bucket's prefix",
		long: "Print the policy that a node needs to back up to and restore from URL, and nothing beyond, as the JSON of IAM.\n" +
			"Nothing is sent to the server.\n\n" +
			"With --write-only the node can neither read nor delete: it backs up by what its cache knows, to a public key if\n" +
			"its own machine is not to be trusted. --reaper is for whoever prunes instead. With --principal-tag TAG, URL is\n" +
			"above all nodes, and each has the prefix below it that the tag of its role or user says.",
		example: "  hindsight policy s3://backups/web1\n" +
			"  hindsight policy --write-only --append-only s3://backups/web1\n" +
			"  hindsight policy --principal-tag node s3://backups\n" +
			"  hindsight policy --bucket-policy --principal arn:aws:iam::123456789012:role/web1 s3://backups/web1",
		addFlags: func(fs *pflag.FlagSet) {
			fs.BoolVar(&o.WriteOnly, "write-only", false, "let it neither read nor delete")
			fs.BoolVar(&o.AppendOnly, "append-only", false, "with --write-only: let it not overwrite either (AWS)")
			fs.BoolVar(&o.Reaper, "reaper", false, "let it list and delete only: for cleanup and pruning")
			fs.BoolVar(&o.Thaw, "thaw", false, "let it ask for objects in archive classes too")
			fs.BoolVar(&o.Bucket, "bucket-policy", false, "print a policy of the bucket, for --principal")
			fs.StringArrayVar(&o.Principals, "principal", nil, "`ARN` of a user or role, or its name on other servers; may be repeated")
			fs.StringVar(&o.Tag, "principal-tag", "", "give each principal the prefix that its tag `TAG` says")
		},
		run: func(_ context.Context, args []string) error { return runPolicy(j, args[0], o) },
	})
}

func runPolicy(j *job, url string, o s3store.PolicyOptions) error {
	p, err := parseURL(url)
	if err != nil {
		return err
	}
	if !p.isS3() {
		return usagef("URL %q is no bucket: policies are for s3://BUCKET/PREFIX", url)
	}
	c, err := j.s3Config(p)
	if err != nil {
		return err
	}
	text, err := s3store.Policy(c, o)
	if err != nil {
		return usagef("%w", err)
	}
	_, err = j.env.Stdout.Write(text)
	return err
}
