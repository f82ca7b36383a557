package tcpcheck

import (
	"net"
	"regexp"
	"sync"
	"testing"
)

// An expected text is found however it is cut into packets. Each write to a
// pipe is one read.
func TestReadUntilInParts(t *testing.T) {
	for _, want := range []pattern{literal("220 r"), expression{regexp.MustCompile("220 r")}} {
		server, client := net.Pipe()
		var sending sync.WaitGroup
		sending.Go(func() {
			defer server.Close()
			for _, part := range []string{"12", "2", "0 ", "re", "ady"} {
				if _, err := server.Write([]byte(part)); err != nil {
					return
				}
			}
		})
		got, err := readUntil(client, want)
		if err != nil || string(got) != "1220 re" {
			t.Errorf("%v: got %q, %v, want %q", want, got, err, "1220 re")
		}
		_ = client.Close()
		sending.Wait()
	}
}
