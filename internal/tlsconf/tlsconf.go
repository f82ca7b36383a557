// Package tlsconf is the TLS part of a check's configuration, shared by every
// kind that speaks TLS: the options, their validation, and what they make.
package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hale/internal/check"
)

// Options are the TLS options of a check. They are embedded in a kind's config.
type Options struct {
	CA         string `option:"ca" help:"file with the certificates (PEM) to trust instead of the system's"`
	Cert       string `option:"cert" help:"file with the client certificate (PEM)"`
	Key        string `option:"key" help:"file with the client certificate's key (PEM)"`
	ServerName string `option:"server_name" help:"name to ask for (SNI) and to find in the certificate, instead of the host"`
	Insecure   bool   `option:"insecure" help:"do not verify the certificate"`
	MinDays    int    `option:"min_days" help:"fail when the certificate expires in fewer days than this; 0 is off"`
}

// IsZero reports whether no TLS option is set.
func (o Options) IsZero() bool { return o == Options{} }

// Unused reports every option that is given, for a check without TLS; why says
// so, and what to do. The error joins an [*check.OptionError] for each.
func (o Options) Unused(why string, args ...any) error {
	var errs []error
	for _, one := range []struct {
		name string
		set  bool
	}{
		{"ca", o.CA != ""}, {"cert", o.Cert != ""}, {"key", o.Key != ""},
		{"server_name", o.ServerName != ""}, {"insecure", o.Insecure}, {"min_days", o.MinDays != 0},
	} {
		if one.set {
			errs = append(errs, check.OptionErrorf(one.name, why, args...))
		}
	}
	return errors.Join(errs...)
}

// Validate reports every fault in the options.
func (o Options) Validate() error {
	var errs []error
	for _, file := range []struct{ option, path string }{{"ca", o.CA}, {"cert", o.Cert}, {"key", o.Key}} {
		if file.path != "" && !filepath.IsAbs(file.path) {
			errs = append(errs, check.OptionErrorf(file.option, "%q is a relative path; give an absolute one", file.path))
		}
	}
	if o.Cert != "" && o.Key == "" {
		errs = append(errs, check.OptionErrorf("cert", "needs key, the file with its private key"))
	}
	if o.Key != "" && o.Cert == "" {
		errs = append(errs, check.OptionErrorf("key", "needs cert, the file with its certificate"))
	}
	if o.MinDays < 0 {
		errs = append(errs, check.OptionErrorf("min_days", "%d is negative; give a number of days", o.MinDays))
	}
	return errors.Join(errs...)
}

// Config makes the client configuration for a server of the given host. It
// reads the files that the options name. An option error says which one can't
// be used and why.
func (o Options) Config(host string) (*tls.Config, error) {
	config := &tls.Config{ServerName: host, InsecureSkipVerify: o.Insecure}
	if o.ServerName != "" {
		config.ServerName = o.ServerName
	}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, check.OptionErrorf("ca", "%v", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, check.OptionErrorf("ca", "%s holds no certificate in PEM form", o.CA)
		}
	}
	if o.Cert != "" {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return nil, check.OptionErrorf("cert", "%s and %s: %v", o.Cert, o.Key, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// CheckExpiry fails when the peer's certificate expires before the wanted
// number of days from now is over. It names the day.
func (o Options) CheckExpiry(state tls.ConnectionState, now time.Time) error {
	if o.MinDays == 0 || len(state.PeerCertificates) == 0 {
		return nil
	}
	leaf := state.PeerCertificates[0]
	left := leaf.NotAfter.Sub(now)
	if left >= time.Duration(o.MinDays)*24*time.Hour {
		return nil
	}
	name := leaf.Subject.CommonName
	if name == "" {
		name = subject(leaf)
	}
	if left < 0 {
		return check.Failf(check.ReasonTLS, "the certificate of %s expired on %s; at least %d days are wanted", name, day(leaf.NotAfter), o.MinDays)
	}
	return check.Failf(check.ReasonTLS, "the certificate of %s expires on %s, in %d days; at least %d are wanted",
		name, day(leaf.NotAfter), int(left.Hours()/24), o.MinDays)
}

// Describe tells the version of TLS and for how long the server's certificate
// is valid.
func (o Options) Describe(state tls.ConnectionState, now time.Time) string {
	const oneDay = 24 * time.Hour
	text := tls.VersionName(state.Version)
	if len(state.PeerCertificates) > 0 {
		leaf := state.PeerCertificates[0]
		switch left := leaf.NotAfter.Sub(now); {
		case left < 0:
			text += ", the certificate expired on " + day(leaf.NotAfter)
		case left/oneDay == 1:
			text += ", 1 day left"
		default:
			text += fmt.Sprintf(", %d days left", left/oneDay)
		}
	}
	if o.Insecure {
		text += ", not verified"
	}
	return text
}
