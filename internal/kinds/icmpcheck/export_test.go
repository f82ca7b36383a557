package icmpcheck

// Echo is an echo request with the identifier and content of a test.
type Echo = echo

// NewEcho makes an echo request.
func NewEcho(v6 bool) *Echo {
	return &echo{v6: v6, id: [2]byte{0x12, 0x34}, content: [16]byte([]byte("0123456789abcdef"))}
}

// Request is request.
func (e *echo) Request() []byte { return e.request() }

// IsReply is isReply.
func (e *echo) IsReply(m []byte, raw bool) bool { return e.isReply(m, raw) }
