package check

import (
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Masked is what stands in place of a secret.
const Masked = "***"

// A Secret is an option's value that must not be shown. Printing it in any way
// gives [Masked]; [Secret.Reveal] gives the value.
type Secret struct{ value string }

// NewSecret makes a secret of a value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the value itself, for the peer it is meant for.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether there is no value.
func (s Secret) IsZero() bool { return s.value == "" }

// String returns [Masked], or nothing when there is no value.
func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return Masked
}

// GoString keeps %#v from showing the value.
func (s Secret) GoString() string { return s.String() }

// MarshalText keeps encoders from showing the value.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the value.
func (s *Secret) UnmarshalText(text []byte) error {
	s.value = string(text)
	return nil
}

// minSecret is the length below which a secret's text is not masked inside
// other text: hiding every "a" would hide the message and reveal the secret.
const minSecret = 4

// Secrets are texts to be masked wherever they occur.
type Secrets []string

// Add returns the secrets with more of them, each in the forms that a URL, HTML,
// %q and [CleanText] give it; short and double ones are left out.
func (s Secrets) Add(values ...string) Secrets {
	all := slices.Clone(s)
	for _, v := range values {
		quoted := strconv.Quote(v)
		query := url.QueryEscape(v)
		for _, form := range []string{
			v, query, strings.ReplaceAll(query, "+", "%20"), url.PathEscape(v), html.EscapeString(v), quoted[1 : len(quoted)-1], CleanText(v),
		} {
			if len(form) >= minSecret && !slices.Contains(all, form) {
				all = append(all, form)
			}
		}
	}
	// The longest first, so that no part of it is left when another secret is
	// contained in it.
	slices.SortStableFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all
}

// Mask returns text with every secret in it replaced.
func (s Secrets) Mask(text string) string {
	for _, secret := range s {
		if secret == "" {
			continue // it would be found between all characters
		}
		text = strings.ReplaceAll(text, secret, Masked)
	}
	return text
}

var secretName = lazily(`(?i)pass|pwd|secret|token|credential|signature|authorization|cookie|bearer|jwt` +
	`|(api|access|private)[-_]?key|(^|[-_])auth|(^|[-_])(sig|key|pw)$`)

// SecretName reports whether a value of this name is likely a secret: the name
// of an environment variable, a header, a query parameter or a command line
// flag.
func SecretName(name string) bool { return secretName().MatchString(name) }
