package ownip_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"hale/internal/ownip"
)

// vendors are the names of machines, as DMI shows them.
func vendors() map[string]map[string]string {
	return map[string]map[string]string{
		"":                   nil,
		"a laptop":           {"sys_vendor": "LENOVO", "chassis_asset_tag": "No Asset Information"},
		"Hyper-V":            {"sys_vendor": "Microsoft Corporation", "chassis_asset_tag": "1234-5678"},
		"Xen":                {"sys_vendor": "Xen", "bios_version": "4.14"},
		"something enormous": {"sys_vendor": strings.Repeat("Amazon EC2 ", 10_000)},
		"ec2 nitro":          {"sys_vendor": "Amazon EC2"},
		"ec2 xen":            {"sys_vendor": "Xen", "bios_version": "4.11.amazon"},
		"gcp":                {"sys_vendor": "Google", "product_name": "Google Compute Engine"},
		"azure":              {"sys_vendor": "Microsoft Corporation", "chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77"},
	}
}

// TestOnlyItsCloudIsAsked: without a cloud nobody is asked, and in a cloud its
// own service only. The dialer makes no connection, it only takes note.
func TestOnlyItsCloudIsAsked(t *testing.T) {
	// It is this machine's own, and no proxy's.
	t.Setenv("HTTP_PROXY", "http://192.0.2.77:3128")
	t.Setenv("http_proxy", "http://192.0.2.77:3128")
	const imds, gcp = "tcp 169.254.169.254:80", "tcp metadata.google.internal:80"
	for name, dmi := range vendors() {
		t.Run(name, func(t *testing.T) {
			var want []string
			switch word, _, _ := strings.Cut(name, " "); word {
			case "ec2", "azure":
				want = []string{imds}
			case "gcp":
				want = []string{gcp}
			}
			n := note(t, dmi, nil)
			if !slices.Equal(n.metadata(), want) {
				t.Errorf("asked %q, want %q", n.metadata(), want)
			}
			// What can't be asked is stood in for by the default route, loudly.
			if n.err != nil || n.answer.Addr.String() != "10.9.8.7" || n.answer.Source != ownip.Route || (n.answer.Warning != "") != (want != nil) {
				t.Errorf("got %+v, %v", n.answer, n.err)
			}
		})
	}
}

// TestThisMachine: with the environment and the firmware of the machine that
// runs the tests, which is in no cloud, no metadata service is asked.
func TestThisMachine(t *testing.T) {
	for _, variable := range []string{ownip.EnvEC2, ownip.EnvECS, ownip.EnvGCP, ownip.EnvAzure} {
		if os.Getenv(variable) != "" {
			t.Setenv(variable, "")
		}
	}
	vendor, _ := os.ReadFile("/sys/class/dmi/id/sys_vendor")
	for _, cloud := range []string{"Amazon", "Google", "Microsoft"} {
		if strings.Contains(string(vendor), cloud) {
			t.Logf("this machine is %q", vendor)
			return
		}
	}
	n := &noter{}
	n.answer, n.err = ownip.Find(t.Context(), ownip.Options{DialContext: n.dial})
	if len(n.metadata()) > 0 || n.err != nil || n.answer.Source != ownip.Route {
		t.Errorf("asked %q: %+v, %v", n.metadata(), n.answer, n.err)
	}
}

// A variable names a cloud before the firmware does.
func TestVariablesDecide(t *testing.T) {
	url := service(t, says("10.0.0.4"))
	a, err := find(t, ownip.Auto, map[string]string{ownip.EnvAzure: url}, map[string]string{"sys_vendor": "Amazon EC2"})
	expect(t, a, err, ownip.Azure, "10.0.0.4")
}

func TestFallsBack(t *testing.T) {
	url := service(t, status(403))
	a, err := find(t, ownip.Auto, map[string]string{ownip.EnvEC2: url}, nil)
	want := fmt.Sprintf("own_ip source ec2: PUT %s/latest/api/token answered 403 Forbidden", url)
	if err != nil || a.Addr.String() != "10.9.8.7" || a.Source != ownip.Route ||
		!strings.HasPrefix(a.Warning, want) || !strings.Contains(a.Warning, "the address of the default route, 10.9.8.7, is taken for the own one") {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestRoute(t *testing.T) {
	n := note(t, nil, nil)
	if n.err != nil || n.answer.Host() != "10.9.8.7" || !slices.Equal(n.tried, []string{"udp4 192.0.2.1:9"}) {
		t.Errorf("IPv4: %+v, %v; %q", n.answer, n.err, n.tried)
	}
	n = note(t, nil, []string{"udp4"})
	if n.err != nil || n.answer.Host() != "[fd00::77]" || n.answer.Warning != "" {
		t.Errorf("IPv6 alone: %+v, %v", n.answer, n.err)
	}
	n = note(t, nil, []string{"udp4", "udp6"})
	if n.err == nil || !strings.Contains(n.err.Error(), "this host has no default route") {
		t.Errorf("no route: %+v, %v", n.answer, n.err)
	}
	n = note(t, vendors()["gcp"], []string{"udp4", "udp6"})
	if n.err == nil || !strings.Contains(n.err.Error(), "own_ip source gcp: ") || !strings.Contains(n.err.Error(), "own_ip source route: ") {
		t.Errorf("neither: %+v, %v", n.answer, n.err)
	}
}

// The mode of AWS' tools chooses the service's IPv6 address.
func TestEC2OverIPv6(t *testing.T) {
	n := &noter{}
	_, err := ownip.Find(t.Context(), ownip.Options{Source: ownip.EC2, DialContext: n.dial, Getenv: func(name string) string {
		return map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv6"}[name]
	}})
	if err == nil || !slices.Equal(n.tried, []string{"tcp [fd00:ec2::254]:80"}) {
		t.Errorf("tried %q: %v", n.tried, err)
	}
}
