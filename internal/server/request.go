package server

import "context"

// A Request is what the listener understood of a request. Its slices are parts
// of the connection's buffer: they must not be changed, and not be kept after
// [Handler.Respond] has returned.
type Request struct {
	// Method is as sent: GET, HEAD …
	Method []byte
	// Path is the path of the request target as sent, without query and not
	// decoded; of an absolute-form target (http://host/path) the path alone.
	// It is * for OPTIONS *, and the authority for CONNECT.
	Path []byte
	// Query is what follows the first ? of the target.
	Query []byte
	// Accept is the value of the first Accept field; nil without one.
	Accept []byte
}

// A Handler answers requests. Respond is called from many goroutines at once
// and returns soon after ctx ends, which is when the server gives up waiting at
// shutdown; a client that hangs up does not end it. A nil Response, like a
// panic, becomes 500.
type Handler interface {
	Respond(ctx context.Context, r *Request) *Response
}

// HandlerFunc makes a Handler of a function.
type HandlerFunc func(ctx context.Context, r *Request) *Response

// Respond calls f.
func (f HandlerFunc) Respond(ctx context.Context, r *Request) *Response { return f(ctx, r) }
