package server

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"
)

// tcpPair returns both ends of a connection.
func tcpPair(t *testing.T) (ours, theirs *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		nc.Close()
	})
	return nc.(*net.TCPConn), client.(*net.TCPConn)
}

// TestWriteToSlowReader: a write that had to wait for its reader leaves no
// deadline behind.
func TestWriteToSlowReader(t *testing.T) {
	t.Parallel()
	for name, wire := range map[string]func(net.Conn) wire{
		"newWire":   newWire,
		"plainWire": func(nc net.Conn) wire { return &plainWire{nc: nc} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The machine may be too slow for the first timeouts.
			timeout := 100 * time.Millisecond
			for ; !writeToSlowReader(t, wire, timeout); timeout *= 3 {
				if timeout > 30*time.Second {
					t.Fatal("a write that waited for its reader failed")
				}
			}
		})
	}
}

// writeToSlowReader reports whether the write succeeded.
func writeToSlowReader(t *testing.T, wire func(net.Conn) wire, timeout time.Duration) bool {
	ours, theirs := tcpPair(t)
	ours.SetWriteBuffer(sendBuffer)
	theirs.SetReadBuffer(sendBuffer)
	w := wire(ours)
	const size = 1 << 20
	read := make(chan int64)
	go func() {
		time.Sleep(timeout / 10) // let the buffers fill
		n, _ := io.CopyN(io.Discard, theirs, size+1)
		read <- n
	}()
	begin := time.Now()
	if w.write(make([]byte, size), timeout) != nil {
		ours.Close()
		<-read
		return false
	}
	time.Sleep(time.Until(begin.Add(timeout * 2)))
	if err := w.write([]byte("x"), time.Minute); err != nil {
		t.Errorf("the next write: %v", err)
		ours.Close()
	}
	if got, want := <-read, int64(size+1); got != want {
		t.Errorf("got %d bytes, want %d", got, want)
	}
	return true
}

// TestIdleConnectionsHoldNoBuffers: a thousand connections on which a request
// was answered take a fraction of a thousand buffers.
func TestIdleConnectionsHoldNoBuffers(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Verdicts(passes{}, VerdictOptions{}), Options{MaxConnections: 2000})
	served := make(chan error)
	go func() { served <- s.Serve(t.Context(), l) }()
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // the pool forgets in two rounds
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	const n = 1000
	var conns []net.Conn
	for range n { // at first all at once, so that each has a buffer
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "GET / HTTP/1.1\r\n")
		conns = append(conns, c)
	}
	answer := make([]byte, 1000)
	for _, c := range conns {
		io.WriteString(c, "\r\n")
		if _, err := c.Read(answer); err != nil {
			t.Fatal(err)
		}
	}
	// The last ones may be about to give theirs back.
	deadline := time.Now().Add(30 * time.Second)
	each := (heap() - before) / n
	for ; each > MaxHead/2 && time.Now().Before(deadline); each = (heap() - before) / n {
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("%d bytes of heap for an idle connection and its client", each)
	if each > MaxHead/2 {
		t.Errorf("got %d bytes for each, want less than half a buffer", each)
	}
	runtime.KeepAlive(conns)
}
