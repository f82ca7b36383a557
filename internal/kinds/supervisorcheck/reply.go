package supervisorcheck

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// errTwisted is a reply whose parts are not where they belong.
var errTwisted = errors.New("the answer is XML, but not that of supervisord")

// readReply reads the reply to a call: a struct, an array of structs, or a
// fault, which is returned as a [*fault]. Structs are flat in what supervisord
// sends, so that it is enough to look for their members, wherever they are.
func readReply(r io.Reader) ([]program, error) {
	var (
		programs []program
		members  map[string]string
		name     string
		text     strings.Builder
		path     []string
		isFault  bool
	)
	d := xml.NewDecoder(r)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && len(path) == 0 {
			return nil, errTwisted
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			if len(path) > maxDepth || path[0] != "methodResponse" {
				return nil, errTwisted
			}
			text.Reset()
			switch t.Name.Local {
			case "struct":
				members = map[string]string{}
			case "fault":
				isFault = true
			}
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			path = path[:len(path)-1]
			switch t.Name.Local {
			case "name":
				name = strings.TrimSpace(text.String())
			case "value":
				if members != nil {
					members[name] = strings.TrimSpace(text.String())
				}
			case "struct":
				if isFault {
					return nil, newFault(members)
				}
				p, err := newProgram(members)
				if err != nil {
					return nil, err
				}
				programs, members = append(programs, p), nil
			case "methodResponse":
				return programs, nil
			}
		}
	}
}

// maxDepth is how deep elements may be nested: methodResponse, params, param,
// value, array, data, value, struct, member, value, string.
const maxDepth = 16

func newFault(members map[string]string) error {
	code, err := strconv.Atoi(members["faultCode"])
	if err != nil {
		return errTwisted
	}
	return &fault{code: code, text: members["faultString"]}
}

func newProgram(members map[string]string) (program, error) {
	p := program{group: members["group"], name: members["name"], state: members["statename"], spawnErr: members["spawnerr"]}
	if p.group == "" || p.name == "" || p.state == "" {
		return program{}, errTwisted
	}
	for member, value := range map[string]*int64{"start": &p.start, "stop": &p.stop, "now": &p.now, "exitstatus": &p.exit} {
		n, err := strconv.ParseInt(members[member], 10, 64)
		if err != nil {
			return program{}, fmt.Errorf("%w: %s is not a number", errTwisted, member)
		}
		*value = n
	}
	return p, nil
}
