package openklant_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// A composeFile is what the tests look at of a compose file.
type composeFile struct {
	Services map[string]struct {
		Image       string
		Command     []string
		Healthcheck struct{ Test []string }
	}
}

// TestCompose: every service of the compose file has a health check that needs
// no shell and that hale-probe understands.
func TestCompose(t *testing.T) {
	text := must(t, os.ReadFile, "compose.yaml")
	var file composeFile
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name, service := range file.Services {
		names = append(names, name)
		test := service.Healthcheck.Test
		if len(test) < 2 || test[0] != "CMD" || test[1] != "hale-probe" && test[1] != "maykin-common" {
			t.Errorf("%s has the health check %q, want CMD and hale-probe or maykin-common", name, test)
		}
	}
	slices.Sort(names)
	if want := []string{"app", "beat", "flower", "nginx", "postgres", "redis", "worker"}; !slices.Equal(names, want) {
		t.Errorf("the services are %v, want %v", names, want)
	}
}

var yamlBlock = regexp.MustCompile("(?s)\n```yaml\n(.*?)\n```")

// TestCommandsAreUnderstood runs every command of hale-probe and maykin-common
// that stands in the compose file or in a YAML example of the guides: they must
// find nobody to ask, and not be wrong.
func TestCommandsAreUnderstood(t *testing.T) {
	probe := build(t, "hale-probe")
	maykin := filepath.Join(filepath.Dir(probe), "maykin-common")
	if err := os.Symlink(probe, maykin); err != nil {
		t.Fatal(err)
	}
	programs := map[string]string{"hale-probe": probe, "maykin-common": maykin}
	for file, atLeast := range map[string]int{"compose.yaml": 8, "../../docs/open-klant.md": 10, "../../docs/containers.md": 5} {
		text := string(must(t, os.ReadFile, file))
		blocks := [][]string{{"", text}}
		if filepath.Ext(file) == ".md" {
			blocks = yamlBlock.FindAllStringSubmatch(text, -1)
		}
		var commands [][]string
		for _, block := range blocks {
			var document yaml.Node
			if err := yaml.Unmarshal([]byte(block[1]), &document); err != nil {
				t.Errorf("%s: %v in:\n%s", file, err, block[1])
			}
			commands = append(commands, commandsIn(&document)...)
		}
		if len(commands) < atLeast {
			t.Errorf("%s has %d commands, want %d or more", file, len(commands), atLeast)
		}
		for _, c := range commands {
			expectUnderstood(t, file, programs[filepath.Base(c[0])], c)
		}
	}
}

// commandsIn finds the lists that are commands of hale-probe or maykin-common.
func commandsIn(n *yaml.Node) (commands [][]string) {
	var words []string
	for _, child := range n.Content {
		commands = append(commands, commandsIn(child)...)
		if child.Kind == yaml.ScalarNode {
			words = append(words, child.Value)
		}
	}
	if n.Kind != yaml.SequenceNode || len(words) != len(n.Content) {
		return commands
	}
	words = slices.DeleteFunc(words, func(word string) bool { return word == "CMD" })
	if len(words) > 0 && slices.Contains([]string{"hale-probe", "maykin-common"}, filepath.Base(words[0])) {
		commands = append(commands, words)
	}
	return commands
}

// hosts are the parts of URLs that say whom to ask.
var hosts = regexp.MustCompile(`://[^/?#]+`)

// expectUnderstood runs a command with an address that refuses in place of
// those it names.
func expectUnderstood(t *testing.T, file, program string, command []string) {
	t.Helper()
	args := slices.Clone(command[1:])
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end] // what would run afterwards
	}
	for i, arg := range args {
		args[i] = hosts.ReplaceAllString(arg, "://127.0.0.1:1")
	}
	if i := slices.Index(args, "--timeout"); i >= 0 && args[0] == "wait" {
		args[i+1] = "100ms"
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "HALE_CHECKS=tcp://127.0.0.1:1") // for a command that takes its checks from there
	out, err := cmd.CombinedOutput()
	exit := new(exec.ExitError)
	if !errors.As(err, &exit) || !slices.Contains([]int{1, 2, 4}, exit.ExitCode()) {
		t.Errorf("%s: %s: %v, want it to fail, with 1, 2 or 4: %s", file, strings.Join(command, " "), err, out)
	}
}
