package manifest

// Quote is s as it stands in a manifest.
func Quote(s string) string { return string(appendQuoted(nil, s)) }

// Unquote is the inverse of Quote.
func Unquote(s string) (string, error) {
	b, err := unquote([]byte(s))
	return string(b), err
}
