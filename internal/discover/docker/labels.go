package docker

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"hale/internal/check"
)

// prefix is that of the labels that are meant for hale.
const prefix = "hale."

const (
	labelEnable = prefix + "enable"
	labelCheck  = prefix + "check"
)

// optionLabels are the labels that set the option of the same name in every
// check of a container.
var optionLabels = []string{"interval", "timeout", "recheck", "fall", "rise", "impact", "groups"}

// labelNames are those that are known, but for hale.check.NAME.
var labelNames = append([]string{"enable", "check", "path", "port", "host", "status", "start_period"}, optionLabels...)

// labels are what a container's labels ask for.
type labels struct {
	check              string      // the URL in place of what is found; "" is none
	more               [][2]string // names and URLs of further checks
	ports              []int       // its web ports; nil says nothing
	path, host, status string
	options            []check.Option
	startPeriod        *time.Duration
	enabled            bool // hale.enable=true: somebody wants to know when it ends
}

// web reports whether there is a label that only a web port can follow.
func (l labels) web() bool { return l.path != "" || l.host != "" || l.status != "" }

// parseLabels reads a container's labels. Its error joins all faults.
func parseLabels(all map[string]string) (labels, error) {
	var l labels
	var errs []error
	for _, full := range slices.Sorted(maps.Keys(all)) {
		if name, ok := strings.CutPrefix(full, prefix); ok {
			errs = append(errs, l.take(name, strings.TrimSpace(all[full])))
		}
	}
	if l.check != "" && (l.web() || l.ports != nil) {
		errs = append(errs, errors.New("hale.path, hale.port, hale.host and hale.status have no effect beside hale.check; write what they say into its URL"))
	}
	return l, errors.Join(errs...)
}

// take takes one label, whose name is without the prefix.
func (l *labels) take(name, value string) error {
	fault := func(format string, args ...any) error {
		return fmt.Errorf("label %s%s: "+format, append([]any{prefix, check.CleanText(name)}, args...)...)
	}
	further, isFurther := strings.CutPrefix(name, "check.")
	if value == "" && (isFurther || slices.Contains(labelNames, name)) {
		return fault("is empty")
	}
	switch {
	case isFurther:
		if err := check.ValidateName("", further); err != nil {
			return fault("%w", err)
		}
		l.more = append(l.more, [2]string{further, value})
	case name == "enable":
		on, err := strconv.ParseBool(value)
		if err != nil {
			return fault("%q is not true or false", check.CleanText(value))
		}
		l.enabled = on
	case name == "check":
		l.check = value
	case name == "path":
		if !strings.HasPrefix(value, "/") || strings.ContainsAny(value, "# ") {
			return fault("%q is not a path; it begins with a / and has no space and no #", check.CleanText(value))
		}
		l.path = value
	case name == "port":
		for text := range strings.SplitSeq(value, ",") {
			port, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil || port < 1 || port > 65535 {
				return fault("%q is not a port; give a number from 1 to 65535", check.CleanText(text))
			}
			l.ports = append(l.ports, port)
		}
	case name == "host":
		l.host = value
	case name == "status":
		l.status = value
	case name == "start_period":
		period, err := check.ParseDuration(value)
		if err == nil && period < 0 {
			err = fmt.Errorf("%v is negative", period)
		}
		if err != nil {
			return fault("%w", err)
		}
		l.startPeriod = &period
	case name == "groups" && slices.Contains(splitComma(value), check.GroupLive):
		return fault("%w", errLive)
	case slices.Contains(optionLabels, name):
		l.options = append(l.options, check.Option{Name: name, Values: []string{value}})
	default:
		known := strings.Join(labelNames, ", hale.")
		return fault("there is no such label%s (known: hale.%s, hale.check.NAME)", nearestLabel(name), known)
	}
	return nil
}

// errLive is the fault of a label that puts a check into the group live.
var errLive = fmt.Errorf("a label can't put a check into the group %q, which is about hale itself: an image would have it restarted", check.GroupLive)

func splitComma(text string) []string {
	var parts []string
	for part := range strings.SplitSeq(text, ",") {
		parts = append(parts, strings.TrimSpace(part))
	}
	return parts
}

func nearestLabel(name string) string {
	if nearest := check.Nearest(name, labelNames); nearest != "" {
		return fmt.Sprintf("; did you mean %q?", prefix+nearest)
	}
	return ""
}

// labelKinds are the kinds of check that a label may ask for: those that speak
// to an address. A label may come with an image, and so from a stranger: it
// must not make hale run a command, or read a file of this host.
var labelKinds = []string{
	"amqp", "amqps", "celery+amqp", "celery+amqps", "celery+redis", "celery+rediss", "dns", "grpc", "grpcs", "http", "https",
	"icmp", "kafka", "kafkas", "memcached", "mysql", "nats", "natss", "ntp", "postgres", "postgresql", "redis", "rediss",
	"smtp", "smtps", "tcp", "tls", "zookeeper",
}

// leading are the options with which a check asks another than the URL's host, or
// goes where that one's answer sends it.
var leading = []string{"follow", "proxy", "unix"}

// refuse returns the fault of options in a label's URL that no label may have.
func refuse(options []check.Option) error {
	for _, o := range options {
		live := func(value string) bool { return slices.Contains(splitComma(value), check.GroupLive) }
		switch {
		case slices.Contains(leading, o.Name):
			return fmt.Errorf("its option %s may lead to another host than the container, which no label may, as labels come with images; leave it out, or write this check into hale's configuration", o.Name)
		case o.Name == "groups" && slices.ContainsFunc(o.Values, live):
			return errLive
		}
	}
	return nil
}

// authority finds the host and the port of a URL as they are written, and where
// the port begins and ends in it; an empty host is that it has none.
func authority(url string) (host, port string, begin, end int) {
	begin = strings.Index(url, "://")
	if begin < 0 {
		return "", "", 0, 0
	}
	begin += len("://")
	end = len(url)
	if i := strings.IndexAny(url[begin:], "/?#"); i >= 0 {
		end = begin + i
	}
	begin += strings.LastIndexByte(url[begin:end], '@') + 1
	host, port, _ = strings.Cut(url[begin:end], ":")
	return host, port, end - len(port), end
}

// aim makes sure that a label's URL asks the container, whatever else stands in
// it. Where the container is reached by published ports, a port that is written
// as a number is one of the container's: it becomes ${port}, and is returned.
func aim(url string, at place, port int) (string, int, error) {
	host, text, begin, end := authority(url)
	switch {
	case host == "":
		return "", 0, errors.New("it has no host, and so would check hale's own; write ${ip} for the container's address (in a compose file $${ip}, as a single $ is a variable of compose)")
	case host == "${name}" && !at.named:
		return "", 0, errors.New("${name} is no host here, as hale is in no network that knows the container by its name; write ${ip} for the container's address (in a compose file $${ip})")
	case host != "${ip}" && host != "${name}":
		return "", 0, errors.New("it names another host than the container, which no label may, as labels come with images; write ${ip} for the container's address (in a compose file $${ip}), or write this check into hale's configuration")
	case at.published == nil || text == "${port}":
		return url, port, nil
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		return "", 0, errors.New("it has no port, and the container can be reached by published ports only; write ${ip}:${port}, or ${ip}: and the number of the container's port")
	}
	return url[:begin] + "${port}" + url[end:], number, nil
}

// labelURL fills in a URL of a label: ${ip}, ${port} and ${name}.
func labelURL(url, name string, at place, port int) (string, error) {
	scheme, _, isURL := check.SplitScheme(url)
	if isURL && !slices.Contains(labelKinds, scheme) {
		return "", fmt.Errorf("a label can't ask for the kind %q, as labels come with images and so from strangers; write this check into hale's configuration, or use one of %s", check.CleanText(scheme), strings.Join(labelKinds, ", "))
	}
	// Variables first: one that is not known is the fault to tell of.
	full, err := fillIn(url, name, at, port)
	if err != nil || !isURL { // what is none is a fault of its own
		return full, err
	}
	aimed, port, err := aim(url, at, port)
	if err != nil || aimed == url {
		return full, err
	}
	return fillIn(aimed, name, at, port)
}

// fillIn puts what is known of a container in the place of variables.
func fillIn(url, name string, at place, port int) (string, error) {
	host, mapped, reachable := at.endpoint(port)
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(url, "${")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		variable, after, closed := strings.Cut(rest, "}")
		switch {
		case !closed:
			return "", errors.New("a ${ without its }")
		case variable == "name":
			b.WriteString(name)
		case (variable == "ip" || variable == "port") && at.host == "":
			return "", fmt.Errorf("${%s} is not known: %s", variable, at.why)
		case variable == "port" && !reachable && port > 0:
			return "", fmt.Errorf("the container can be reached by published ports only, and this one can't: %s", at.missing([]int{port}))
		case variable == "ip" && host == "":
			b.WriteString(bracket(at.host))
		case variable == "ip":
			b.WriteString(bracket(host))
		case variable == "port" && port == 0:
			return "", errors.New("${port} is not known, as the container exposes no TCP port; write the port's number")
		case variable == "port":
			b.WriteString(strconv.Itoa(mapped))
		default:
			return "", fmt.Errorf("${%s} is not known here; there are ${ip}, ${port} and ${name}", check.CleanText(variable))
		}
		url = after
	}
}

func bracket(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}
