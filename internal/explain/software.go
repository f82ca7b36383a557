package explain

import (
	"bytes"
	"slices"
	"strings"

	"hale/internal/balancer"
)

// The software that is recognised.
const (
	nginx   = "nginx"
	apache  = "Apache"
	django  = "Django"
	rails   = "Rails"
	express = "Express"
	aspnet  = "ASP.NET"
	spring  = "Spring Boot"
	wordp   = "WordPress"
	haproxy = "HAProxy"
	caddy   = "Caddy"
	own     = "hale"
	golang  = "a Go program"
)

// A software is what gave an answer.
type software struct {
	// maker wrote the answer itself; "" if that is not known. A proxy in front
	// of it may be another.
	maker string
	// server is what the Server field names.
	server string
	// why is what it was known by.
	why string
	// small is true if the names of its fields are in small letters though the
	// server that it names writes them with capitals: HAProxy hands it on.
	small bool
}

// recognise says who wrote an answer, by what only he writes.
func recognise(r *response) software {
	if r == nil {
		return software{}
	}
	s := software{server: r.get("Server"), small: isHandedOn(r)}
	for _, mark := range marks() {
		if mark.fits(r) {
			s.maker, s.why = mark.maker, mark.why
			return s
		}
	}
	return s
}

// A mark is what a software is known by.
type mark struct {
	maker, why string
	fits       func(*response) bool
}

// marks are in the order in which they are looked for: bodies first, as a proxy
// passes them on and replaces the Server field.
func marks() []mark {
	return []mark{
		{nginx, "the page with the signature <center>nginx is nginx's own", hasBody("<center>nginx", "<center>openresty")},
		{apache, "the page is Apache's own", hasBody("<address>Apache/", "<p>The document has moved <a href=", "/strict.dtd\">\n<html><head>\n<title>", "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">")},
		{express, "the text Redirecting to is that of Express", hasBody("Moved Permanently. Redirecting to", "Found. Redirecting to", "Permanent Redirect. Redirecting to", "Temporary Redirect. Redirecting to", "<pre>Cannot GET", "<pre>Cannot HEAD", "<pre>Cannot OPTIONS")},
		{rails, "the page is that of Rails", hasBody("<html><body>You are being <a href=", "Blocked host", "ActionDispatch::")},
		{aspnet, "the page Invalid Hostname is that of ASP.NET", hasBody("<h2>Bad Request - Invalid Hostname</h2>")},
		{django, "the page is Django's own", func(r *response) bool {
			return hasBody("<h1>Bad Request (400)</h1>", "<h1>Server Error (500)</h1>", "DisallowedHost", "You're seeing this error because you have <code>DEBUG = True</code>", "<p>The requested resource was not found on this server.</p>")(r)
		}},
		{spring, "the report of components is that of Spring Boot", func(r *response) bool {
			return hasBody("Whitelabel Error Page")(r) || strings.Contains(r.get("Content-Type"), "vnd.spring-boot.actuator")
		}},
		{wordp, "the field X-Redirect-By names WordPress", fieldHas("X-Redirect-By", "wordpress")},
		{express, "the field X-Powered-By names Express", fieldHas("X-Powered-By", "express")},
		{django, "an empty redirect with the fields of Django's SecurityMiddleware", func(r *response) bool {
			// Since 4.0 there is Cross-Origin-Opener-Policy too.
			return isDjangoRedirect(r) && r.get("Referrer-Policy") == "same-origin" &&
				(r.has("Cross-Origin-Opener-Policy") || r.get("X-Content-Type-Options") == "nosniff")
		}},
		{rails, "the fields X-Runtime and X-Request-Id are those of Rails", func(r *response) bool { return r.has("X-Runtime") && r.has("X-Request-Id") }},
		{django, "an empty redirect of a Python server", func(r *response) bool {
			return isDjangoRedirect(r) && (fieldHas("Server", "gunicorn", "wsgiserver", "uvicorn", "waitress", "daphne")(r))
		}},
		{aspnet, "the Server field names it", fieldHas("Server", "kestrel", "microsoft-iis")},
		{caddy, "the Server field names it", fieldHas("Server", "caddy")},
		{haproxy, "the page is HAProxy's own", hasBody("No server is available to handle this request.", "Your browser sent an invalid request.", "Request forbidden by administrative rules.",
			"You need a valid user and password to access this content.", "You have sent too many requests in a given amount of time.")},
		{haproxy, "an empty redirect without Date and Server, its fields in small letters, is how HAProxy writes it", isHAProxyRedirect},
		{own, "fail and nothing else, which must not be stored, is hale's own verdict", func(r *response) bool {
			return r.status >= 400 && string(bytes.TrimSpace(r.body)) == "fail" && r.get("Cache-Control") == "no-store" &&
				strings.HasPrefix(r.get("Content-Type"), "text/plain") && !r.has("Server")
		}},
		{golang, "the page is that of Go's net/http", hasBody("404 page not found\n")},
	}
}

// isDjangoRedirect reports whether a redirect looks like one of Django's: most
// frameworks and servers write a body, or another charset, as PHP does.
func isDjangoRedirect(r *response) bool {
	return r.status >= 300 && r.status < 400 && r.size == 0 && r.get("Content-Type") == "text/html; charset=utf-8" &&
		!r.has("X-Powered-By") && !fieldHas("Set-Cookie", "phpsessid")(r)
}

// isHAProxyRedirect reports whether a redirect has what HAProxy's own has: a
// server behind it would have sent the time.
func isHAProxyRedirect(r *response) bool {
	if r.status < 300 || r.status > 399 || r.size != 0 || len(r.fields) < 2 {
		return false
	}
	for _, f := range r.fields {
		switch f.Name {
		case "content-length", "location", "cache-control", "connection", "set-cookie", "strict-transport-security":
		default:
			return false
		}
	}
	return r.fields[0].Name == "content-length"
}

// isHandedOn reports whether an answer came through HAProxy: it writes the names
// of all fields in small letters, and leaves the Server field as it is.
func isHandedOn(r *response) bool {
	if strings.HasPrefix(r.version, "HTTP/2") || !fieldHas("Server", "nginx", "openresty", "apache", "gunicorn", "caddy", "kestrel", "jetty", "werkzeug")(r) {
		return false
	}
	return !slices.ContainsFunc(r.fields, func(f balancer.Field) bool { return f.Name != strings.ToLower(f.Name) })
}

func hasBody(texts ...string) func(*response) bool {
	return func(r *response) bool {
		for _, text := range texts {
			if bytes.Contains(r.body, []byte(text)) {
				return true
			}
		}
		return false
	}
}

func fieldHas(name string, words ...string) func(*response) bool {
	return func(r *response) bool {
		value := strings.ToLower(r.get(name))
		for _, word := range words {
			if strings.Contains(value, word) {
				return true
			}
		}
		return false
	}
}

// product is the name in the Server field, without its version.
func (s software) product() string {
	name, _, _ := strings.Cut(clean(s.server), "/")
	return name
}

// says is a sentence about who wrote the answer; "" if nobody knows.
func (s software) says() []string {
	var all []string
	if s.maker != "" && s.why != "" {
		all = append(all, "It is "+s.maker+" that answers so: "+s.why+".")
	}
	if s.server != "" && !strings.Contains(strings.ToLower(s.server), strings.ToLower(s.maker)) {
		all = append(all, "The Server field says "+clean(s.server)+".")
	}
	return all
}

// webServer is the one whose configuration matters: who wrote the answer, or whom
// the Server field names; "" if it is none of those that are known.
func (s software) webServer() string {
	name := strings.ToLower(s.maker)
	if s.maker == "" || !isWebServer(s.maker) {
		name = strings.ToLower(s.product())
	}
	switch name {
	case "nginx", "openresty":
		return nginx
	case "apache", "httpd":
		return apache
	case "caddy":
		return caddy
	case "haproxy":
		return haproxy
	}
	return ""
}

func isWebServer(maker string) bool {
	return maker == nginx || maker == apache || maker == caddy || maker == haproxy
}

// edge is the one that takes the connections.
func (s software) edge() string {
	if s.small {
		return haproxy
	}
	return s.webServer()
}
