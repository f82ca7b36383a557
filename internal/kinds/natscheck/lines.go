package natscheck

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"hale/internal/check"
)

const (
	// maxLine is the length of the longest line, in bytes: INFO, which names
	// every server of a cluster.
	maxLine = 32 << 10
	// bufferSize is how much of it is read at once. It is small, for a thousand
	// hanging checks hold a thousand of them.
	bufferSize = 1 << 10
)

// malformed is a line that is not what it should be.
type malformed struct{ line, want string }

func (e *malformed) Error() string {
	const most = 60
	return fmt.Sprintf("%q, want %s", check.CleanText(e.line[:min(len(e.line), most)]), e.want)
}

// lines reads lines, none longer than maxLine.
type lines struct{ buf *bufio.Reader }

func newLines(r io.Reader) *lines { return &lines{bufio.NewReaderSize(r, bufferSize)} }

// buffered reports whether there is more than was read.
func (l *lines) buffered() bool { return l.buf.Buffered() > 0 }

// next returns the next line, without its end.
func (l *lines) next() (string, error) {
	var long []byte
	for {
		part, err := l.buf.ReadSlice('\n')
		switch {
		case err == nil:
			return strings.TrimRight(string(append(long, part...)), "\r\n"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		case len(long)+len(part) >= maxLine:
			return "", &malformed{string(append(long, part...)), fmt.Sprintf("a line of at most %d bytes", maxLine)}
		}
		long = append(long, part...)
	}
}

// info reads the INFO with which a server begins. One that takes no more clients
// may say so in its place.
func (l *lines) info() (info, error) {
	line, err := l.next()
	if err != nil {
		return info{}, err
	}
	if strings.HasPrefix(line, "-ERR") {
		return info{}, errorLine(line)
	}
	return parseInfo(line)
}
