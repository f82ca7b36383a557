package mysqlcheck

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// The methods of authentication that a password can be proved with here: the
// defaults of MariaDB and MySQL. Without a password every method will do, since
// there is nothing to prove.
const (
	methodNative      = "mysql_native_password"
	methodCachingSHA2 = "caching_sha2_password"
)

// What caching_sha2_password says and wants to hear.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
const (
	sha2Known     = 0x03 // the proof was right; OK follows
	sha2NeedsText = 0x04 // the server must see the password itself
	sha2AskForKey = 0x02 // ask for the key to encrypt it with
)

// maxSteps is how many packets a login may take after the client's first. The
// longest that is known takes five.
const maxSteps = 10

// An unknownMethod is a method of authentication that needs a library.
type unknownMethod struct{ name string }

func (e *unknownMethod) Error() string { return "unknown method of authentication " + e.name }

// A login is one on its way.
type login struct {
	*link
	password string
	method   string
	scramble []byte
	unknown  error // an *unknownMethod that the server insists on
}

// proof is what shows that the client knows the password. Without one, and for
// a method that is not known, it is empty, which ends in an orderly refusal.
func (a *login) proof() []byte {
	if a.password == "" {
		return nil
	}
	switch a.method {
	case methodNative:
		return proveNative(a.password, a.scramble)
	case methodCachingSHA2:
		return proveSHA2(a.password, a.scramble)
	}
	a.unknown = &unknownMethod{a.method}
	return nil
}

// proveNative is SHA1(password) XOR SHA1(scramble SHA1(SHA1(password))).
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_native_password_authentication.html
func proveNative(password string, scramble []byte) []byte {
	once := sha1.Sum([]byte(password))
	twice := sha1.Sum(once[:])
	mask := sha1.Sum(append(bytes.Clone(scramble), twice[:]...))
	subtle.XORBytes(mask[:], mask[:], once[:])
	return mask[:]
}

// proveSHA2 is SHA256(password) XOR SHA256(SHA256(SHA256(password)) scramble).
func proveSHA2(password string, scramble []byte) []byte {
	once := sha256.Sum256([]byte(password))
	twice := sha256.Sum256(once[:])
	mask := sha256.Sum256(append(twice[:], scramble...))
	subtle.XORBytes(mask[:], mask[:], once[:])
	return mask[:]
}

// finish answers what the server asks after the client's first packet, until it
// lets the client in (nil) or refuses to.
func (a *login) finish() error {
	for range maxSteps {
		p, err := a.receive(anySize)
		if err != nil {
			return err
		}
		switch p[0] {
		case packetOK:
			return nil
		case packetErr:
			return errors.Join(parseError(p), a.unknown)
		case packetAuthSwitch:
			err = a.change(p[1:])
		case packetMore:
			err = a.goOn(p[1:])
		default:
			err = fmt.Errorf("%w: a packet of type %#x during the login", errForeign, p[0])
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: a login of more than %d packets", errForeign, maxSteps)
}

// change changes to the method that the server names. A server that names none
// wants the one of MySQL before 4.1.
func (a *login) change(p []byte) error {
	method, data, found := bytes.Cut(p, []byte{0})
	if !found {
		method = []byte("mysql_old_password")
	}
	a.method, a.scramble = string(method), bytes.Clone(bytes.TrimSuffix(data, []byte{0}))
	return a.send(a.proof())
}

// goOn answers more data of a method.
func (a *login) goOn(data []byte) error {
	switch {
	case a.method != methodCachingSHA2 || a.password == "" || len(data) == 0:
		return a.send(nil)
	case data[0] == sha2Known && len(data) == 1:
		return nil
	case data[0] == sha2NeedsText && len(data) == 1:
		if !a.encrypts {
			return a.send([]byte{sha2AskForKey})
		}
		return a.send(append([]byte(a.password), 0))
	}
	secret, err := encrypt(a.password, a.scramble, data)
	if err != nil {
		return err
	}
	return a.send(secret)
}

// encrypt encrypts the password with the server's key, mixed with the scramble
// so that it can't be used a second time.
func encrypt(password string, scramble, key []byte) ([]byte, error) {
	block, _ := pem.Decode(key)
	if block == nil || len(scramble) == 0 {
		return nil, fmt.Errorf("%w: a key that is not in PEM form", errForeign)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: a key that can't be read: %w", errForeign, err)
	}
	const most = 8192 / 8
	public, ok := parsed.(*rsa.PublicKey)
	if !ok || public.Size() > most {
		return nil, fmt.Errorf("%w: a key that is not for RSA, or too long", errForeign)
	}
	text := append([]byte(password), 0)
	for i := range text {
		text[i] ^= scramble[i%len(scramble)]
	}
	return rsa.EncryptOAEP(sha1.New(), rand.Reader, public, text, nil)
}
