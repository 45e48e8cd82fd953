package s3store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// PolicyOptions say whose policy it is to be. The zero value is that of a node that
// backs up and restores.
type PolicyOptions struct {
	WriteOnly  bool // neither read nor delete: a node that cannot be made to
	AppendOnly bool // nor overwrite: every put must say that nothing is there yet
	Reaper     bool // list and delete only: who prunes
	Thaw       bool // also ask for objects in archive classes

	// Bucket makes a policy of the bucket, for the Principals, in place of one of a user
	// or a role.
	Bucket     bool
	Principals []string // ARNs, or what the server calls its users

	// Tag gives each principal the prefix below Config.Prefix that its tag of this name
	// says: one role for any number of nodes.
	Tag string
}

// tagName is what AWS allows for the key of a tag, without blanks.
var tagName = regexp.MustCompile(`^[A-Za-z0-9+=._:/@-]{1,128}$`)

func (o PolicyOptions) check() error {
	switch {
	case o.Reaper && (o.WriteOnly || o.AppendOnly || o.Thaw):
		return errors.New("a reaper's policy allows neither to write nor to read")
	case o.AppendOnly && !o.WriteOnly:
		return errors.New("append-only is of use only with write-only: who may delete need not overwrite")
	case o.WriteOnly && o.Thaw:
		return errors.New("who may not read need not thaw")
	case o.Bucket && len(o.Principals) == 0:
		return errors.New("a bucket's policy needs a principal")
	case !o.Bucket && len(o.Principals) > 0:
		return errors.New("a principal is of use only in a bucket's policy")
	case o.Tag != "" && !tagName.MatchString(o.Tag):
		return fmt.Errorf("%q cannot be the name of a tag", o.Tag)
	}
	return nil
}

type policyDocument struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid       string
	Effect    string
	Principal *principal `json:",omitempty"`
	Action    []string
	Resource  []string
	Condition map[string]map[string]any `json:",omitempty"`
}

type principal struct{ AWS []string }

// Policy is the least that a place of Config.Bucket and Config.Prefix takes, as the
// JSON of IAM. Nothing of it goes beyond the prefix, but for a reaper's list of
// unfinished uploads, which IAM cannot bind to one.
func Policy(c Config, o PolicyOptions) ([]byte, error) {
	if err := errors.Join(c.check(), o.check()); err != nil {
		return nil, err
	}
	p := &policy{c: c, o: o, bucket: "arn:" + partition(c.Region) + ":s3:::" + c.Bucket}
	p.within = literal(c.Prefix)
	if o.Tag != "" {
		p.within = strings.TrimPrefix(p.within+"/${aws:PrincipalTag/"+o.Tag+"}", "/")
	}
	if p.within != "" {
		p.within += "/"
	}
	p.write()
	if err := p.number(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(p.doc); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// policy is one that is being written.
type policy struct {
	c      Config
	o      PolicyOptions
	bucket string // ARN
	within string // pattern of the prefix, with its slash
	doc    policyDocument
}

func (p *policy) write() {
	p.doc.Version = "2012-10-17"
	var list map[string]map[string]any
	if p.within != "" {
		list = map[string]map[string]any{"StringLike": {"s3:prefix": []string{p.within + "*"}}}
	}
	p.add("List", "Allow", p.bucket, list, "s3:ListBucket")
	objects := p.bucket + "/" + p.within + "*"
	switch {
	case p.o.Reaper:
		p.add("Remove", "Allow", objects, nil, "s3:DeleteObject", "s3:AbortMultipartUpload")
		p.add("ListUnfinished", "Allow", p.bucket, nil, "s3:ListBucketMultipartUploads")
	case p.o.WriteOnly:
		p.add("Write", "Allow", objects, nil, "s3:PutObject", "s3:AbortMultipartUpload")
	default:
		actions := []string{"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"}
		if p.o.Thaw {
			actions = append(actions, "s3:RestoreObject")
		}
		p.add("ReadAndWrite", "Allow", objects, nil, actions...)
	}
	if p.o.AppendOnly {
		// The parts of an upload carry no condition and create nothing.
		p.add("NoOverwrite", "Deny", objects, map[string]map[string]any{
			"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"},
		}, "s3:PutObject")
	}
	if p.c.Encryption == EncryptKMS && p.c.KMSKey != "" && !p.o.Bucket && !p.o.Reaper {
		// A multipart upload decrypts what it joins, though its maker may not read.
		p.add("Key", "Allow", keyARN(p.c), nil, "kms:GenerateDataKey", "kms:Decrypt")
	}
}

func (p *policy) add(sid, effect, resource string, condition map[string]map[string]any, actions ...string) {
	s := statement{Sid: sid, Effect: effect, Action: actions, Resource: []string{resource}, Condition: condition}
	if p.o.Bucket {
		s.Principal = &principal{p.o.Principals}
	}
	p.doc.Statement = append(p.doc.Statement, s)
}

// number makes the statements' ids differ from those of any other place or principal, in
// letters and digits, which is all that AWS takes: a bucket has one policy, into which the
// statements of many nodes are put, and no id may be there twice.
func (p *policy) number() error {
	for i := range p.doc.Statement {
		s := &p.doc.Statement[i]
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(append(text, p.within...)) // not every statement names the prefix
		s.Sid += hex.EncodeToString(sum[:8])
	}
	return nil
}

// literal is a prefix in which nothing stands for anything else.
func literal(prefix string) string {
	return strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}").Replace(prefix)
}

// partition is the part of AWS that a region lies in.
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

func keyARN(c Config) string {
	if strings.HasPrefix(c.KMSKey, "arn:") {
		return c.KMSKey
	}
	return "arn:" + partition(c.Region) + ":kms:*:*:key/" + c.KMSKey
}
