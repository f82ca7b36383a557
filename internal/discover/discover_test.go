package discover_test

import (
	"strings"
	"testing"

	"hale/internal/check"
	"hale/internal/discover"
)

func checks(names ...string) []*check.Check {
	var all []*check.Check
	for _, name := range names {
		all = append(all, &check.Check{Name: name})
	}
	return all
}

func TestMerge(t *testing.T) {
	long := strings.Repeat("x", 255)
	for _, tt := range []struct {
		name    string
		written []*check.Check
		found   map[string][]*check.Check
		want    string
	}{
		{"nothing", nil, nil, ""},
		{"written alone", checks("web", "db"), nil, "web db"},
		{"found beside", checks("web"), map[string][]*check.Check{"docker": checks("app"), "listeners": checks("redis-6379")}, "web app redis-6379"},
		{"a name is taken", checks("web"), map[string][]*check.Check{"docker": checks("web")}, "web docker-web"},
		{"and so is the other", checks("web", "docker-web"), map[string][]*check.Check{"docker": checks("web")}, "web docker-web docker-web-2"},
		{"two sources", nil, map[string][]*check.Check{"docker": checks("web"), "links": checks("web")}, "web links-web"},
		{"a source's own check", checks("docker"), map[string][]*check.Check{"docker": checks("docker")}, "docker docker-2"},
		{"a long name", checks(long), map[string][]*check.Check{"docker": checks(long)}, long + " docker-" + long[:248]},
	} {
		var got []string
		for _, c := range discover.Merge(tt.written, tt.found) {
			got = append(got, c.Name)
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// A check that is renamed is another one: the source's keeps its name.
func TestMergeLeavesTheSourceItsChecks(t *testing.T) {
	found := checks("web")
	discover.Merge(checks("web"), map[string][]*check.Check{"docker": found})
	if found[0].Name != "web" {
		t.Errorf("the source's check is now called %s", found[0].Name)
	}
}
