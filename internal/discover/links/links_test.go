package links_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hale/internal/check"
	"hale/internal/discover/links"
)

// brief writes targets as lines: name, and URL.
func brief(targets []links.Target) []string {
	var lines []string
	for _, t := range targets {
		line := t.Name + " " + t.URL
		if t.Service {
			line += " service"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestFind(t *testing.T) {
	for _, test := range []struct {
		name    string
		environ string // words
		want    []string
	}{
		{"nothing", "PATH=/bin HOME=/", nil},
		{
			"one link",
			"WEB_PORT=tcp://172.17.0.2:80 WEB_PORT_80_TCP=tcp://172.17.0.2:80 WEB_PORT_80_TCP_ADDR=172.17.0.2 WEB_PORT_80_TCP_PORT=80 WEB_PORT_80_TCP_PROTO=tcp WEB_NAME=/status/web",
			[]string{"WEB http://web/"},
		},
		{
			"several links, sorted",
			"B_PORT_80_TCP=tcp://172.17.0.3:80 B_PORT_80_TCP_ADDR=172.17.0.3 A_PORT_80_TCP=tcp://172.17.0.2:80 A_PORT_80_TCP_ADDR=172.17.0.2",
			[]string{"A http://a/", "B http://b/"},
		},
		{
			"several names of one address: the shortest",
			"PROJECT_WEB_1_PORT_80_TCP=tcp://172.17.0.2:80 PROJECT_WEB_1_PORT_80_TCP_ADDR=172.17.0.2 " +
				"WEB_PORT_80_TCP=tcp://172.17.0.2:80 WEB_PORT_80_TCP_ADDR=172.17.0.2 " +
				"WEB_1_PORT_80_TCP=tcp://172.17.0.2:80 WEB_1_PORT_80_TCP_ADDR=172.17.0.2",
			[]string{"WEB http://web/"},
		},
		{
			"of two as short the first",
			"BB_PORT_80_TCP_ADDR=172.17.0.2 BB_PORT_80_TCP=x AA_PORT_80_TCP=x AA_PORT_80_TCP_ADDR=172.17.0.2",
			[]string{"AA http://aa/"},
		},
		{
			"no address variable: the address of the link itself",
			"WEB_PORT_80_TCP=tcp://172.17.0.2:80 WEB_1_PORT_80_TCP=tcp://172.17.0.2:80",
			[]string{"WEB http://web/"},
		},
		{
			"no address at all: each is a target",
			"A_PORT_80_TCP=yes B_PORT_80_TCP=",
			[]string{"A http://a/", "B http://b/"},
		},
		{
			"an alias with dashes, dots and capitals",
			"MY_APP_1_PORT_80_TCP=tcp://172.17.0.2:80 MY_APP_1_NAME=/hale/My-app_1 A.B_PORT_80_TCP=tcp://172.17.0.3:80",
			[]string{"A.B http://a.b/", "MY_APP_1 http://my-app_1/"},
		},
		{
			"NAME_NAME of somebody else is no alias",
			"APP_PORT_80_TCP=tcp://172.17.0.2:80 APP_NAME=/x/other WEB_PORT_80_TCP=tcp://172.17.0.3:80 WEB_NAME=web",
			[]string{"APP http://app/", "WEB http://web/"},
		},
		{
			"names with digits and underscores",
			"_1_PORT_80_TCP=tcp://172.17.0.2:80 APP2__X_PORT_80_TCP=tcp://172.17.0.3:80",
			[]string{"APP2__X http://app2__x/", "_1 http://_1/"},
		},
		{
			"a name that holds the pattern",
			"X_PORT_80_TCP_PORT_80_TCP=tcp://172.17.0.2:80",
			[]string{"X_PORT_80_TCP http://x_port_80_tcp/"},
		},
		{
			"what is no link to port 80",
			"A_PORT_80_UDP=udp://172.17.0.2:80 B_PORT_8080_TCP=tcp://172.17.0.2:8080 C_PORT_80_TCP_START=tcp://172.17.0.2:80 " +
				"D_PORT=tcp://172.17.0.2:80 E_PORT_180_TCP=tcp://172.17.0.2:180 _PORT_80_TCP=x PORT_80_TCP=x ___PORT_80_TCP=x app_PORT_80_TCP=x A-B_PORT_80_TCP=x NOVALUE_PORT_80_TCP",
			nil,
		},
		{
			"what a linked container hands on",
			"APP_PORT_80_TCP=tcp://172.17.0.2:80 APP_NAME=/s/app APP_ENV_DB_PORT_80_TCP=tcp://172.17.0.9:80 APP_ENV_DB_PORT_80_TCP_ADDR=172.17.0.9 APP_ENV_DB_NAME=/app/db",
			[]string{"APP http://app/"},
		},
		{
			"what a container without a web port hands on",
			"DB_NAME=/s/db DB_PORT_5432_TCP=tcp://172.17.0.2:5432 DB_ENV_WEB_PORT_80_TCP=tcp://172.17.0.9:80",
			nil,
		},
		{
			"an alias with _ENV_ in it",
			"MY_ENV_APP_PORT_80_TCP=tcp://172.17.0.2:80 MY_ENV_APP_NAME=/s/my-env-app MY_PORT_80_TCP=tcp://172.17.0.3:80",
			[]string{"MY http://my/", "MY_ENV_APP http://my-env-app/"},
		},
		{
			"_ENV_ in a name that no link begins",
			"MY_ENV_APP_PORT_80_TCP=tcp://172.17.0.2:80",
			[]string{"MY_ENV_APP http://my_env_app/"},
		},
		{
			"paths",
			"A_PORT_80_TCP=x A_GET_PATH=/status?full=1 B_PORT_80_TCP=x B_GET_PATH=:8080/status C_PORT_80_TCP=x C_GET_PATH=:8080 " +
				"D_PORT_80_TCP=x D_GET_PATH= E_PORT_80_TCP=x E_GET_PATH=?q=1 F_PORT_80_TCP=x F_GET_PATH=/a#interval=1s G_PORT_80_TCP=x G_GET_PATH=:81?q H_PORT_80_TCP=x H_GET_PATH=//x:@y/",
			[]string{
				"A http://a/status?full=1", "B http://b:8080/status", "C http://c:8080/", "D http://d/", "E http://e/?q=1", "F http://f/a",
				"G http://g:81/?q", "H http://h//x:@y/",
			},
		},
		{
			"addresses",
			"A_PORT_80_TCP=tcp://172.17.0.2:80 A_PORT_80_TCP_ADDR=172.17.0.2 A_CONNECT_IP=true A_GET_PATH=:8080/s B_PORT_80_TCP=tcp://172.17.0.3:80 B_CONNECT_IP=false " +
				"C_PORT_80_TCP=tcp://172.17.0.4:80 C_CONNECT_IP=true D_PORT_80_TCP_ADDR=fe00::5 D_PORT_80_TCP=tcp://[fe00::5]:80 D_CONNECT_IP=true E_PORT_80_TCP=tcp://[fe00::6]:80 E_CONNECT_IP=true",
			[]string{"A http://172.17.0.2:8080/s", "B http://b/", "C http://172.17.0.4/", "D http://[fe00::5]/", "E http://[fe00::6]/"},
		},
		{
			"the first of two variables counts",
			"A_PORT_80_TCP=x A_GET_PATH=/one A_GET_PATH=/two",
			[]string{"A http://a/one"},
		},
		{
			"a service of Kubernetes",
			"SHOP_SERVICE_HOST=10.0.0.7 SHOP_PORT_80_TCP=tcp://10.0.0.7:80 SHOP_PORT_80_TCP_ADDR=10.0.0.7 SHOP_PORT=tcp://10.0.0.7:80",
			[]string{"SHOP http://shop/ service"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			found, err := links.Find(strings.Fields(test.environ))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, brief(found.Targets)); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
			if len(found.Remarks) > 0 {
				t.Errorf("remarks: %q", found.Remarks)
			}
		})
	}
}

func TestFindRemarks(t *testing.T) {
	found, err := links.Find(strings.Fields(
		"WEB_PORT_80_TCP=tcp://172.17.0.2:80 WEB_1_PORT_80_TCP=tcp://172.17.0.2:80 WEB_1_GET_PATH=/s WEB_CONNECT_IP=True " +
			"WBE_GET_PATH=/s WEB_ENV_X_GET_PATH=/s"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"WBE_GET_PATH has no effect: there is no link called WBE to a container that exposes port 80",
		"WEB_1_GET_PATH has no effect: WEB and WEB_1 are the same container, and the shorter name counts",
		"WEB_CONNECT_IP=True has no effect: only true does",
	}
	if diff := cmp.Diff(want, found.Remarks); diff != "" {
		t.Errorf("remarks (-want +got):\n%s", diff)
	}
}

func TestFindFaults(t *testing.T) {
	for _, test := range []struct{ environ, option, message string }{
		{"A_PORT_80_TCP=x A_GET_PATH=status", "A_GET_PATH", `"status" is not a path; write one such as /status`},
		{"A_PORT_80_TCP=x A_GET_PATH=status?token=hush", "A_GET_PATH", `"status" is not a path`},
		{"A_PORT_80_TCP=x A_GET_PATH=:http/", "A_GET_PATH", `":http/" does not begin with a port`},
		{"A_PORT_80_TCP=x A_GET_PATH=:0/", "A_GET_PATH", "does not begin with a port"},
		{"A_PORT_80_TCP=x A_GET_PATH=:70000/", "A_GET_PATH", "does not begin with a port"},
		{"A_PORT_80_TCP=x A_GET_PATH=:+1/", "A_GET_PATH", "does not begin with a port"},
		{"A_PORT_80_TCP=x A_GET_PATH=:80@evil/", "A_GET_PATH", "does not begin with a port"},
		{"A_PORT_80_TCP=x A_CONNECT_IP=true", "A_CONNECT_IP", "neither A_PORT_80_TCP_ADDR nor A_PORT_80_TCP has an address"},
	} {
		t.Run(test.environ, func(t *testing.T) {
			_, err := links.Find(strings.Fields(test.environ))
			faults := check.OptionErrors(err)
			if len(faults) != 1 || faults[0].Option != test.option || !strings.Contains(faults[0].Msg, test.message) {
				t.Errorf("got %v, want %s: %s", err, test.option, test.message)
			}
			if strings.Contains(err.Error(), "hush") {
				t.Errorf("%v tells a secret", err)
			}
		})
	}
	_, err := links.Find(strings.Fields("A_PORT_80_TCP=x A_GET_PATH=a B_PORT_80_TCP=x B_GET_PATH=b"))
	if n := len(check.OptionErrors(err)); n != 2 {
		t.Errorf("%d faults are told, want both: %v", n, err)
	}
}
