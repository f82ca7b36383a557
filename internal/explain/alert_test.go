package explain

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"
)

// What crypto/tls says of an alert is not exported, and could change.
func TestAlerts(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	go func() {
		_, _ = there.Read(make([]byte, 4096))
		_, _ = there.Write([]byte{0x15, 3, 3, 0, 2, 2, 40})
	}()
	err := tls.Client(here, &tls.Config{ServerName: "x"}).Handshake()
	if got := alertOf(err); got != alertHandshake {
		t.Errorf("%v: got the alert %d, want %d", err, got, alertHandshake)
	}
	if got, want := inWords(err), "the server ended it with the alert 40, handshake failure"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if alertOf(nil) != 0 || alertOf(errors.New("tls: handshake failure")) != 0 {
		t.Error("there is an alert in what is none")
	}
}
