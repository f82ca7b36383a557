package snippet

import (
	"embed"
	"strings"
	"text/template"
)

// A Snippet is configuration for one kind of software.
type Snippet struct {
	// Name is what hale snippet calls it.
	Name string
	// Help says in a few words what it is.
	Help string
	// Proof is what hale's tests do with it; "" when they can't run it and only
	// check its form.
	Proof string
}

// All is every snippet, sorted by name.
func All() []Snippet {
	return []Snippet{
		{"apache", "the health path answered by hale, exempt from the redirect to https", "Debian's Apache 2.4: syntax check and requests"},
		{"caddy", "the same for Caddy", "Debian's Caddy 2.6: validation and requests"},
		{"compose", "a service's health check, and what waits for it", ""},
		{"django", "ALLOWED_HOSTS with the own address, and a middleware that answers the health path", "Debian's Django 3.2 under gunicorn"},
		{"docker", "HEALTHCHECK of an image, or the flags of docker run", ""},
		{"ecs", "a task definition's container with hale as its health check", ""},
		{"haproxy", "a backend that asks hale, by HTTP and by agent-check", "Debian's HAProxy 2.6: syntax check, and hale takes a server out and in"},
		{"kubernetes", "a sidecar with startup, liveness and readiness probes", ""},
		{"nginx", "the health path, the default server and the /_healthz/ locations", "Debian's nginx: syntax check and requests"},
		{"rails", "host authorization and force_ssl exempt the health path", ""},
		{"systemd", "a unit that runs hale", "Debian's systemd: systemd-analyze verify"},
		{"terraform", "an ALB's target group that asks hale", ""},
	}
}

//go:embed templates/*.tmpl
var files embed.FS

// Text returns the snippet for a setup. Its error is [Setup.Validate]'s.
func (s Snippet) Text(setup Setup) (string, error) {
	if err := setup.Validate(); err != nil {
		return "", err
	}
	t, err := template.ParseFS(files, "templates/"+s.Name+".tmpl")
	if err != nil {
		return "", err
	}
	var text strings.Builder
	if err := t.Execute(&text, setup.fields()); err != nil {
		return "", err
	}
	return text.String(), nil
}
