package check

import (
	"net/url"
	"regexp"
	"slices"
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

// Add returns the secrets with more of them; short and double ones are left out.
func (s Secrets) Add(values ...string) Secrets {
	for _, v := range values {
		for _, form := range []string{v, url.QueryEscape(v), url.PathEscape(v)} {
			if len(form) >= minSecret && !slices.Contains(s, form) {
				s = append(slices.Clip(s), form)
			}
		}
	}
	// The longest first, so that no part of it is left when another secret is
	// contained in it.
	slices.SortFunc(s, func(a, b string) int { return len(b) - len(a) })
	return s
}

// Mask returns text with every secret in it replaced.
func (s Secrets) Mask(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, Masked)
	}
	return text
}

var secretName = regexp.MustCompile(`(?i)pass|pwd|secret|token|api_?key|access_?key|private_?key|credential|signature|^auth|^sig$|^key$`)

// SecretName reports whether a value of this name is likely a secret: the name
// of an environment variable, a query parameter or a command line flag.
func SecretName(name string) bool { return secretName.MatchString(name) }
