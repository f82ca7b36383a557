package servertest_test

import (
	"net"
	"os"
	"testing"

	"hale/internal/servertest"
)

func TestOwnNetwork(t *testing.T) {
	if !servertest.OwnNetwork(t) {
		addrs, err := net.InterfaceAddrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range addrs {
			if a.String() == servertest.OwnAddress+"/24" {
				t.Errorf("%v is seen outside", a)
			}
		}
		return
	}
	listener, err := net.Listen("tcp", servertest.OwnAddress+":80")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	links, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", links)
}
