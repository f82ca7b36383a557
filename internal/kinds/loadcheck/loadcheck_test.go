package loadcheck_test

import (
	"context"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"testing"
	"testing/fstest"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/loadcheck"
)

// host makes the files of a host with four CPUs, of which one is not in use, and
// with the changes, of which an empty one takes a file away.
func host(changes map[string]string) fs.FS {
	all := fstest.MapFS{}
	put := func(files map[string]string) {
		for name, text := range files {
			all[name] = &fstest.MapFile{Data: []byte(text)}
			if text == "" {
				delete(all, name)
			}
		}
	}
	put(map[string]string{
		"proc/loadavg":                  "12.00 6.00 3.00 3/123 4567\n",
		"sys/devices/system/cpu/online": "0-1,3\n",
		"proc/pressure/cpu":             "some avg10=90.00 avg60=20.50 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
		"proc/pressure/memory":          "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
		"proc/pressure/io":              "some avg10=0.00 avg60=50.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
	})
	put(changes)
	return all
}

func run(t *testing.T, files fs.FS, options string) check.Result {
	t.Helper()
	kindtest.ExpectLeavesNothing(t)
	return kindtest.Run(t, t.Context(), kindtest.Build(t, loadcheck.KindOn(files), "load:#timeout=30s&interval=1m&"+options))
}

func TestZeroOptionsAreTheDefaults(t *testing.T) {
	c := kindtest.Build(t, loadcheck.Kind(), "load:")
	want := []check.Setting{
		{Name: "max", Value: "4"}, {Name: "minutes", Value: "5"},
		{Name: "max_cpu_pressure", Value: "100%"}, {Name: "max_memory_pressure", Value: "100%"}, {Name: "max_io_pressure", Value: "100%"},
	}
	if !slices.Equal(c.Options, want) {
		t.Errorf("got options %v, want %v", c.Options, want)
	}
	if c.Name != "load" {
		t.Errorf("name %q", c.Name)
	}
}

func TestFaults(t *testing.T) {
	const percent = " is not a percentage; write one from 0% to 100%, such as 10% (in a URL 10%25)"
	for _, test := range []struct{ url, want string }{
		{"load://web", "url: has more than the scheme, and the load is that of this host; write load: and options after ? or #"},
		{"load:?max=-1", "max: -1 is negative; give the load for each CPU, such as 2 or 0.7"},
		{"load:?max=high", `max: "high" is not a number`},
		{"load:?minutes=10", "minutes: the load is averaged over 1, 5 or 15 minutes, and not over 10"},
		{"load:?max=0", "max: is 0, and no pressure is limited, so that nothing would be checked; give one of them"},
		{"load:?max_cpu_pressure=50", `max_cpu_pressure: "50"` + percent},
		{"load:?max_memory_pressure=-1%25", `max_memory_pressure: "-1%"` + percent},
		{"load:?max_io_pressure=1e9%25", `max_io_pressure: "1e9%"` + percent},
	} {
		_, err := kindtest.TryBuild(t, loadcheck.Kind(), test.url)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s\n got %v\nwant %s", test.url, err, test.want)
		}
	}
}

func TestLimits(t *testing.T) {
	const five = "load 6 over 5 minutes, 2.00 for each of 3 CPUs"
	for _, test := range []struct {
		options string
		reason  check.Reason
		want    string
	}{
		{"", check.ReasonNone, five},
		{"max=2", check.ReasonNone, five},
		{"max=1.9", check.ReasonSize, "load: " + five + ", want at most 1.9"},
		{"minutes=1", check.ReasonNone, "load 12 over 1 minute, 4.00 for each of 3 CPUs"},
		{"minutes=1&max=3", check.ReasonSize, "load: load 12 over 1 minute, 4.00 for each of 3 CPUs, want at most 3"},
		{"minutes=15&max=1", check.ReasonNone, "load 3 over 15 minutes, 1.00 for each of 3 CPUs"},
		{"max=0&max_cpu_pressure=20.5%25", check.ReasonNone, five + ", cpu pressure 20.5%"},
		{"max_cpu_pressure=20%25", check.ReasonSize, "load: something waited for cpu in 20.5% of the last minute, want at most 20%"},
		{"max_cpu_pressure=99%25&max_io_pressure=49%25", check.ReasonSize, "load: something waited for io in 50% of the last minute, want at most 49%"},
		{"max_memory_pressure=0%25&max_io_pressure=50%25", check.ReasonNone, five + ", memory pressure 0%, io pressure 50%"},
	} {
		if r := run(t, host(nil), test.options); r.Reason() != test.reason || r.Text() != test.want {
			t.Errorf("%s\n got %s: %s\nwant %s: %s", test.options, r.Reason(), r.Text(), test.reason, test.want)
		}
	}
}

func TestUnusualFiles(t *testing.T) {
	own := fmt.Sprintf("load 6 over 5 minutes, %.2f for each of %d CPUs", 6/float64(runtime.NumCPU()), runtime.NumCPU())
	if runtime.NumCPU() == 1 {
		own = "load 6 over 5 minutes, 6.00 for each of 1 CPU"
	}
	for _, test := range []struct {
		name, text string // of a file that is different
		options    string
		reason     check.Reason
		want       string
	}{
		{"proc/loadavg", "", "", check.ReasonMissing, "load: there is no /proc/loadavg; the check needs Linux and a mounted /proc"},
		{"proc/loadavg", "1.0 2.0", "", check.ReasonProtocol, `load: /proc/loadavg is not as it should be: "1.0 2.0"`},
		{"proc/loadavg", "1 nan 2", "", check.ReasonProtocol, `load: /proc/loadavg is not as it should be: "1 nan 2"`},
		{"sys/devices/system/cpu/online", "0", "", check.ReasonSize, "load: load 6 over 5 minutes, 6.00 for each of 1 CPU, want at most 4"},
		{"sys/devices/system/cpu/online", "", "max=1000", check.ReasonNone, own},
		{"sys/devices/system/cpu/online", "3-1", "max=1000", check.ReasonNone, own},
		{"proc/pressure/io", "", "max_io_pressure=1%25", check.ReasonMissing, "load: this kernel does not measure pressure: there is no /proc/pressure/io; start it with psi=1, or leave max_io_pressure out"},
		{"proc/pressure/io", "full avg60=1\n\nsome avg60=x", "max_io_pressure=1%25", check.ReasonProtocol, `load: /proc/pressure/io is not as it should be: "full avg60=1 some avg60=x"`},
	} {
		if r := run(t, host(map[string]string{test.name: test.text}), test.options); r.Reason() != test.reason || r.Text() != test.want {
			t.Errorf("%s: %q\n got %s: %s\nwant %s: %s", test.name, test.text, r.Reason(), r.Text(), test.reason, test.want)
		}
	}
}

func TestThisHost(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	c := kindtest.Build(t, loadcheck.Kind(), "load:?max=100000&timeout=30s&interval=1m")
	if r := kindtest.Run(t, t.Context(), c); !r.Healthy() {
		t.Error(r.Err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	kindtest.ExpectReason(t, kindtest.Run(t, ctx, c), check.ReasonCanceled)
}
