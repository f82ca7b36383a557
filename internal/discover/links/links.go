// Package links finds the web containers that are linked to this one: those of
// which `docker run --link` tells in the environment, as does docker-status,
// from which the variables' names and meaning are.
//
// A link to a container that exposes port 80 sets NAME_PORT_80_TCP to
// tcp://ADDRESS:80 and NAME_PORT_80_TCP_ADDR to ADDRESS, where NAME is the
// link's alias in capitals and with _ for -. It sets NAME_NAME to
// /CONTAINER/ALIAS, and hands on the linked container's own environment as
// NAME_ENV_…. The alias itself is a name in /etc/hosts.
package links

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"hale/internal/check"
)

// The ends of the variables' names.
const (
	linkSuffix    = "_PORT_80_TCP"
	addressSuffix = "_PORT_80_TCP_ADDR"
	pathSuffix    = "_GET_PATH"
	addressOnly   = "_CONNECT_IP"
)

// A Target is a linked container.
type Target struct {
	// Name is the link's, as variables begin with it: APP_1.
	Name string
	// Host is what is connected to: the link's alias, such as app-1, or the
	// container's address.
	Host string
	// URL is what is to be requested.
	URL string
	// Service is true if the variables are those of a service of Kubernetes,
	// which tells of it in the same way.
	Service bool

	alias string // the name in lower case, or as the link has it
	blame string // the variable that is wrong if the URL is
}

// Found is what there is in an environment.
type Found struct {
	// Targets are sorted by name. Each has another address.
	Targets []Target
	// Remarks say what in the environment has no effect though it looks as if
	// it should, one line each.
	Remarks []string
}

// Find finds the linked containers in an environment, given as by os.Environ.
// Several names of one address are one target, under the shortest of them. The
// error joins every fault as a [*check.OptionError] that names a variable.
func Find(environ []string) (Found, error) {
	env := read(environ)
	var found Found
	var errs []error
	for _, name := range env.names() {
		target, err := env.target(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found.Targets = append(found.Targets, target)
	}
	found.Remarks = env.remarks(found.Targets)
	return found, errors.Join(errs...)
}

// environment is an environment by the variables' names.
type environment map[string]string

func read(environ []string) environment {
	env := environment{}
	for _, variable := range environ {
		name, value, ok := strings.Cut(variable, "=")
		if _, given := env[name]; ok && !given {
			env[name] = value
		}
	}
	return env
}

// names returns the links' names, sorted: one for each address.
func (env environment) names() []string {
	byAddress := map[string]string{}
	for variable := range env {
		name, ok := strings.CutSuffix(variable, linkSuffix)
		if !ok || !isName(name) || env.handedOn(name) {
			continue
		}
		address := env.address(name)
		if address == "" {
			address = "of " + name // which is known by its name alone
		}
		if other, taken := byAddress[address]; !taken || shorter(name, other) {
			byAddress[address] = name
		}
	}
	return slices.Sorted(maps.Values(byAddress))
}

// shorter reports whether the name is the one to be kept of two.
func shorter(name, other string) bool {
	return len(name) < len(other) || len(name) == len(other) && name < other
}

// isName reports whether Docker may have made the name of an alias.
func isName(name string) bool {
	return strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") == "" && strings.Trim(name, "_.") != ""
}

// handedOn reports whether what looks like a link is one of a linked container's
// own, which is not there for us: APP_ENV_DB_PORT_80_TCP is APP's variable
// DB_PORT_80_TCP.
func (env environment) handedOn(name string) bool {
	if env.alias(name) != "" {
		return false
	}
	for end := range name {
		if !strings.HasPrefix(name[end:], "_ENV_") {
			continue
		}
		_, web := env[name[:end]+linkSuffix]
		if web || env.alias(name[:end]) != "" {
			return true
		}
	}
	return false
}

// alias returns the link's name as it was given, which variables can't hold, or
// nothing if Docker does not tell.
func (env environment) alias(name string) string {
	path := env[name+"_NAME"]
	alias := path[strings.LastIndexByte(path, '/')+1:]
	if !strings.HasPrefix(path, "/") || strings.ReplaceAll(strings.ToUpper(alias), "-", "_") != name {
		return ""
	}
	return strings.ToLower(alias)
}

// address returns the container's address; nothing if it is not known.
func (env environment) address(name string) string {
	if address := env[name+addressSuffix]; address != "" {
		return address
	}
	address, _ := strings.CutPrefix(env[name+linkSuffix], "tcp://")
	address, ok := strings.CutSuffix(address, ":80")
	if !ok {
		return ""
	}
	return strings.Trim(address, "[]")
}

// target returns the target of a link.
func (env environment) target(name string) (Target, error) {
	t := Target{Name: name, alias: env.alias(name), blame: name + linkSuffix}
	_, t.Service = env[name+"_SERVICE_HOST"]
	if t.alias == "" {
		t.alias = strings.ToLower(name)
	}
	t.Host = t.alias
	if env[name+addressOnly] == "true" {
		t.blame = name + addressSuffix
		if t.Host = env.address(name); t.Host == "" {
			return t, check.OptionErrorf(name+addressOnly, "is true, but neither %s nor %s has an address; leave %s out to connect to the name %s", name+addressSuffix, name+linkSuffix, name+addressOnly, t.alias)
		}
	}
	path, err := readPath(name+pathSuffix, env[name+pathSuffix])
	if err != nil {
		return t, err
	}
	if env[name+pathSuffix] != "" {
		t.blame = name + pathSuffix
	}
	host := t.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	t.URL = "http://" + host + path
	return t, nil
}

// readPath returns what follows the host in a URL: a path, perhaps after :PORT.
func readPath(variable, text string) (string, error) {
	text, _, _ = strings.Cut(text, "#") // what follows is never sent
	path := text
	port := ""
	if rest, ok := strings.CutPrefix(text, ":"); ok {
		end := strings.IndexAny(rest+"/", "/?")
		port, path = rest[:end], rest[end:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", check.OptionErrorf(variable, "%q does not begin with a port from 1 to 65535; write :8080/status, or /status for port 80", shown(text))
		}
		port = ":" + port
	}
	if path == "" || path[0] == '?' {
		path = "/" + path
	}
	if path[0] != '/' {
		return "", check.OptionErrorf(variable, "%q is not a path; write one such as /status, or :8080/status for another port", shown(text))
	}
	return port + path, nil
}

// shown leaves out of a path what may be a secret.
func shown(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return check.CleanText(path)
}

// remarks says which variables have no effect.
func (env environment) remarks(targets []Target) []string {
	used := map[string]bool{}
	for _, t := range targets {
		used[t.Name] = true
	}
	var remarks []string
	for _, variable := range slices.Sorted(maps.Keys(env)) {
		for _, suffix := range []string{pathSuffix, addressOnly} {
			name, ok := strings.CutSuffix(variable, suffix)
			switch value := env[variable]; {
			case !ok || !isName(name) || env.handedOn(name):
			case !used[name]:
				remarks = append(remarks, fmt.Sprintf("%s has no effect: %s", variable, env.why(name, targets)))
			case suffix == addressOnly && value != "true" && !IsOff(value):
				remarks = append(remarks, fmt.Sprintf("%s=%s has no effect: only true does", variable, check.CleanText(value)))
			}
		}
	}
	return remarks
}

// why says why the variables of a name are not used.
func (env environment) why(name string, targets []Target) string {
	if _, linked := env[name+linkSuffix]; linked {
		for _, t := range targets {
			if env.address(t.Name) == env.address(name) {
				return fmt.Sprintf("%s and %s are the same container, and the shorter name counts", t.Name, name)
			}
		}
	}
	return fmt.Sprintf("there is no link called %s to a container that exposes port 80", name)
}

// IsOff reports whether the value of a switch that only true turns on says by
// itself that it is off.
func IsOff(value string) bool {
	return slices.Contains([]string{"", "false", "0", "no", "off"}, strings.ToLower(value))
}
