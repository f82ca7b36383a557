package mysqlcheck

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// ping asks a server whether it is there, as a client that is logged in.
func ping(l *link) error {
	if err := l.command(comPing, ""); err != nil {
		return err
	}
	p, err := l.receive(anySize)
	switch {
	case err != nil:
		return err
	case p[0] == packetErr:
		return parseError(p)
	case p[0] != packetOK:
		return fmt.Errorf("%w: a packet of type %#x", errForeign, p[0])
	}
	return nil
}

// limit asks the server for one row at most, and to give up what takes longer
// than the run may, since it would not notice that nobody waits any more. A
// server that can't is asked all the same.
func limit(ctx context.Context, l *link, g greeting) {
	statement := "SET sql_select_limit=1"
	if deadline, ok := ctx.Deadline(); ok {
		left := max(time.Until(deadline), time.Millisecond)
		if g.mariaDB() {
			statement += fmt.Sprintf(", max_statement_time=%.3f", left.Seconds())
		} else {
			statement += fmt.Sprintf(", max_execution_time=%d", left.Milliseconds())
		}
	}
	_, _ = query(l, statement)
}

// A value is the first column of a query's first row.
type value struct {
	row, null bool
	text      string
}

// String shows it to people.
func (v value) String() string {
	const most = 100
	switch {
	case !v.row:
		return "no row"
	case v.null:
		return "NULL"
	case len(v.text) > most:
		return fmt.Sprintf("%q…", strings.ToValidUTF8(v.text[:most], ""))
	}
	return fmt.Sprintf("%q", v.text)
}

// query runs one statement and reads its result to the end.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html
func query(l *link, statement string) (v value, err error) {
	if err := l.command(comQuery, statement); err != nil {
		return value{}, err
	}
	p, err := l.receive(anySize)
	switch {
	case err != nil:
		return value{}, err
	case p[0] == packetErr:
		return value{}, parseError(p)
	case p[0] == packetOK:
		return value{}, nil
	case p[0] == packetLocalFile:
		return value{}, fmt.Errorf("%w: the server asks for a file of this host", errForeign)
	}
	// The number of columns; then each of them, up to an end; then the rows, up
	// to an end.
	if _, _, err := untilEnd(l); err != nil {
		return value{}, err
	}
	first, rows, err := untilEnd(l)
	if err != nil || !rows {
		return value{}, err
	}
	text, _, null, err := lengthEncoded(first)
	return value{row: true, null: null, text: string(text)}, err
}

// untilEnd reads packets up to the one that ends them, and returns the first.
func untilEnd(l *link) (first []byte, found bool, err error) {
	for {
		p, err := l.receive(anySize)
		// A row may begin with the same byte, and is then longer.
		const longestEnd = 8
		switch {
		case err != nil:
			return nil, false, err
		case p[0] == packetErr:
			return nil, false, parseError(p)
		case p[0] == packetEOF && len(p) <= longestEnd:
			return first, found, nil
		case !found:
			first, found = p, true
		}
	}
}
