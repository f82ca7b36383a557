package config

import (
	"net/url"
	"strings"

	"hale/internal/check"
)

// forms returns the forms that a secret may take, besides those that
// [check.Secrets.Add] makes of each: cleaned, for what is cleaned is then
// quoted; and as user names and paths are shown.
func forms(secret string, inURL bool) []string {
	forms := []string{secret, check.CleanText(secret)}
	if inURL {
		forms = append(forms, url.User(secret).String(), encode(secret, "/"))
	}
	return forms
}

// hide masks secrets in a message, and what is left of one at a place where the
// message quotes a text that was cut.
func hide(msg string, values []string) string {
	if len(values) == 0 {
		return msg
	}
	secrets := check.Secrets(nil).Add(values...)
	before, after, cut := strings.Cut(secrets.Mask(msg), "…")
	if !cut {
		return before
	}
	left := 0 // how much of a secret stands before the cut
	for _, secret := range secrets {
		for n := min(len(secret), len(before)); n > left; n-- {
			if strings.HasSuffix(before, secret[:n]) {
				left = n
			}
		}
	}
	if left > 0 {
		before = before[:len(before)-left] + check.Masked
	}
	return before + "…" + hide(after, values)
}
