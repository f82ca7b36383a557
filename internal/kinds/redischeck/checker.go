package redischeck

import (
	"context"
	"fmt"

	"hale/internal/check"
	"hale/internal/resp"
)

// checker is immutable once made.
type checker struct {
	server   *resp.Server
	role     string
	commands []string // the names of the commands in request
	request  []byte   // all of them, as they are sent
}

// add appends a command without arguments to the request.
func (c *checker) add(command string) {
	c.commands = append(c.commands, command)
	c.request = resp.AppendCommand(c.request, command)
}

// Check sends all commands at once and judges their replies in order. The first
// that is not as it should be decides.
func (c *checker) Check(ctx context.Context) (note string, err error) {
	conn, err := c.server.Connect(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	// A server that is full or protected says so at once and hangs up, which
	// may fail the write; what it said can be read all the same. If there is
	// nothing to read, then that says why.
	_ = conn.Write(c.request)
	for _, command := range c.commands {
		if note, err = c.reply(conn.Reader, command); err != nil {
			return "", c.server.Explain(command, err)
		}
	}
	return note, nil
}

// reply reads and judges the reply to one command.
func (c *checker) reply(r *resp.Reader, command string) (string, error) {
	if command == "ROLE" {
		return c.readRole(r)
	}
	text, err := r.Status()
	if err != nil {
		return "", err
	}
	want := "OK"
	if command == "PING" {
		want = "PONG"
	}
	if text != want {
		return "", check.Failf(check.ReasonProtocol, "%s: answers %s with %q, want %q", c.server.Target(), command, check.CleanText(text), want)
	}
	return text, nil
}

// readRole reads the reply to ROLE as far as is needed to know the role.
// https://redis.io/docs/latest/commands/role/
func (c *checker) readRole(r *resp.Reader) (note string, err error) {
	if _, err := r.Array(); err != nil {
		return "", err
	}
	role, err := r.Bulk(resp.MaxLine)
	if err != nil {
		return "", err
	}
	switch role {
	case "master":
		note, err = masterNote(r)
	case "slave":
		role = RoleReplica
		note, err = replicaNote(r)
	default:
		note = role
	}
	if err != nil {
		return "", err
	}
	if role != c.role {
		return "", check.Failf(check.ReasonRole, "%s: is a %s, and a %s is wanted", c.server.Target(), check.CleanText(note), c.role)
	}
	return note, nil
}

// masterNote reads on in the reply of a master: its offset and how many
// replicas it has.
func masterNote(r *resp.Reader) (string, error) {
	if _, err := r.Int(); err != nil {
		return "", err
	}
	replicas, err := r.Array()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("master, replicas: %d", replicas), nil
}

// replicaNote reads on in the reply of a replica: its master's host and port,
// and how the link to it is.
func replicaNote(r *resp.Reader) (string, error) {
	host, err := r.Bulk(resp.MaxLine)
	if err != nil {
		return "", err
	}
	port, err := r.Int()
	if err != nil {
		return "", err
	}
	link, err := r.Bulk(resp.MaxLine)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("replica of %s, link %s", check.Address(host, port), link), nil
}
