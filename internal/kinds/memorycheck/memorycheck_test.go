package memorycheck_test

import (
	"context"
	"io/fs"
	"maps"
	"slices"
	"testing"
	"testing/fstest"

	"hale/internal/check"
	"hale/internal/kinds/kindtest"
	"hale/internal/kinds/memorycheck"
)

// host makes the files of a host.
func host(files ...map[string]string) fs.FS {
	all := fstest.MapFS{}
	for _, some := range files {
		for name, text := range maps.All(some) {
			all[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return all
}

// meminfo is one of 1000 MiB, of which a quarter is available, and 100 MiB of
// swap space, of which a tenth is used.
var meminfo = map[string]string{"proc/meminfo": "MemTotal:        1024000 kB\nMemFree:           10000 kB\nMemAvailable:     256000 kB\nBuffers:           1 kB\nSwapCached:            0 kB\nSwapTotal:        102400 kB\nSwapFree:          92160 kB\nHugePages_Total:       0\n"}

const (
	hostNote = "250.0MiB of 1000.0MiB (25%) available"
	swapNote = ", 10.0MiB of 100.0MiB (10%) swap used"
)

func run(t *testing.T, files fs.FS, options string) check.Result {
	t.Helper()
	kindtest.ExpectLeavesNothing(t)
	return kindtest.Run(t, t.Context(), kindtest.Build(t, memorycheck.KindOn(files), "memory:#timeout=30s&interval=1m&"+options))
}

func TestZeroOptionsAreTheDefaults(t *testing.T) {
	c := kindtest.Build(t, memorycheck.Kind(), "memory:")
	want := []check.Setting{{Name: "min_free", Value: "5%"}, {Name: "max_swap", Value: "100%"}, {Name: "cgroup", Value: "true"}}
	if !slices.Equal(c.Options, want) {
		t.Errorf("got options %v, want %v", c.Options, want)
	}
	if c.Name != "memory" {
		t.Errorf("name %q", c.Name)
	}
}

func TestFaults(t *testing.T) {
	for _, test := range []struct{ url, want string }{
		{"memory:/x", "url: has more than the scheme, and the memory is that of this host; write memory: and options after ? or #"},
		{"memory:?min_free=0", "min_free: is 0, and max_swap 100%, so that nothing would be checked; give one of them"},
		{"memory:?min_free=5G", `min_free: "5G" is neither a percentage nor a size; write one such as 10% (in a URL 10%25), 500MB or 5GiB`},
		{"memory:?max_swap=-1", `max_swap: "-1" is neither a percentage nor a size; write one such as 10% (in a URL 10%25), 500MB or 5GiB`},
		{"memory:?cgroup=5", `cgroup: "5" is not true or false`},
	} {
		_, err := kindtest.TryBuild(t, memorycheck.Kind(), test.url)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s\n got %v\nwant %s", test.url, err, test.want)
		}
	}
}

func TestThisHost(t *testing.T) {
	kindtest.ExpectLeavesNothing(t)
	c := kindtest.Build(t, memorycheck.Kind(), "memory:?min_free=1&timeout=30s&interval=1m")
	if r := kindtest.Run(t, t.Context(), c); !r.Healthy() {
		t.Error(r.Err)
	}
	c = kindtest.Build(t, memorycheck.Kind(), "memory:?min_free=1000TiB&timeout=30s&interval=1m")
	kindtest.ExpectReason(t, kindtest.Run(t, t.Context(), c), check.ReasonSize)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	kindtest.ExpectReason(t, kindtest.Run(t, ctx, c), check.ReasonCanceled)
}

func TestLimits(t *testing.T) {
	for _, test := range []struct {
		options string
		reason  check.Reason
		want    string
	}{
		{"", check.ReasonNone, hostNote + swapNote},
		{"min_free=25%25", check.ReasonNone, hostNote + swapNote},
		{"min_free=250MiB", check.ReasonNone, hostNote + swapNote},
		{"min_free=25.1%25", check.ReasonSize, "memory: " + hostNote + ", want at least 25.1%"},
		{"min_free=251MiB", check.ReasonSize, "memory: " + hostNote + ", want at least 251MiB"},
		{"max_swap=10%25", check.ReasonNone, hostNote + swapNote},
		{"max_swap=10MiB&min_free=0", check.ReasonNone, hostNote + swapNote},
		{"max_swap=9%25", check.ReasonSize, "memory: 10.0MiB of 100.0MiB (10%) swap used, want at most 9%; memory: " + hostNote},
		{"max_swap=0", check.ReasonSize, "memory: 10.0MiB of 100.0MiB (10%) swap used, want at most 0B; memory: " + hostNote},
	} {
		if r := run(t, host(meminfo), test.options); r.Reason() != test.reason || r.Text() != test.want {
			t.Errorf("%s\n got %s: %s\nwant %s: %s", test.options, r.Reason(), r.Text(), test.reason, test.want)
		}
	}
}

func TestCgroups(t *testing.T) {
	v2 := map[string]string{"proc/self/cgroup": "0::/system.slice/app.service\n"}
	limited := map[string]string{ // 20 MiB of 100 MiB are left, and 10 MiB can be taken back
		"sys/fs/cgroup/system.slice/app.service/memory.max":     "104857600\n",
		"sys/fs/cgroup/system.slice/app.service/memory.current": "83886080\n",
		"sys/fs/cgroup/system.slice/app.service/memory.stat":    "anon 1\ninactive_file 10485760\nslab 2\n",
	}
	unlimited := map[string]string{"sys/fs/cgroup/system.slice/app.service/memory.max": "max\n"}
	above := map[string]string{ // nothing is left, but of the cache
		"sys/fs/cgroup/system.slice/memory.max":     "209715200\n",
		"sys/fs/cgroup/system.slice/memory.current": "209715200\n",
		"sys/fs/cgroup/system.slice/memory.stat":    "inactive_file 1048576\n",
	}
	container := map[string]string{
		"proc/self/cgroup":             "0::/\n",
		"sys/fs/cgroup/memory.max":     "1048576\n",
		"sys/fs/cgroup/memory.current": "2097152\n", // over its limit, for a moment
		"sys/fs/cgroup/memory.stat":    "inactive_file 0\n",
	}
	v1 := map[string]string{
		"proc/self/cgroup": "9:name=systemd:/\n4:memory,hugetlb:/docker/1234\n0::/\n",
		// In a container the path is the host's, and what is mounted is its own.
		"sys/fs/cgroup/memory/memory.limit_in_bytes": "104857600\n",
		"sys/fs/cgroup/memory/memory.usage_in_bytes": "94371840\n",
		"sys/fs/cgroup/memory/memory.stat":           "inactive_file 1\ntotal_inactive_file 5242880\n",
	}
	v1Host := map[string]string{
		"proc/self/cgroup":                           "4:memory:/\n",
		"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
	}
	const service = " available to the cgroup /system.slice/app.service"
	for _, test := range []struct {
		name    string
		files   fs.FS
		options string
		reason  check.Reason
		want    string
	}{
		{"limit", host(meminfo, v2, limited), "", check.ReasonNone, "30.0MiB of 100.0MiB (30%)" + service + swapNote},
		{"limit, in percent of it", host(meminfo, v2, limited), "min_free=31%25", check.ReasonSize, "memory: 30.0MiB of 100.0MiB (30%)" + service + ", want at least 31%"},
		{"limit, not counted", host(meminfo, v2, limited), "cgroup=false", check.ReasonNone, hostNote + swapNote},
		{"no limit", host(meminfo, v2, unlimited), "", check.ReasonNone, hostNote + swapNote},
		{"limit above", host(meminfo, v2, unlimited, above), "", check.ReasonSize, "memory: 1.0MiB of 200.0MiB (0.5%) available to the cgroup /system.slice, want at least 5%"},
		{"both", host(meminfo, v2, limited, above), "min_free=1", check.ReasonNone, "1.0MiB of 200.0MiB (0.5%) available to the cgroup /system.slice" + swapNote},
		{"container", host(meminfo, container), "", check.ReasonSize, "memory: 0B of 1.0MiB (0%) available to the cgroup /, want at least 5%"},
		{"version 1", host(meminfo, v1), "", check.ReasonNone, "15.0MiB of 100.0MiB (15%) available to the cgroup /" + swapNote},
		{"version 1, no limit", host(meminfo, v1Host), "", check.ReasonNone, hostNote + swapNote},
		{"files missing", host(meminfo, v2), "", check.ReasonNone, hostNote + swapNote},
		{"garbage", host(meminfo, map[string]string{"proc/self/cgroup": "x\n0::../../y\n"}), "", check.ReasonNone, hostNote + swapNote},
	} {
		if r := run(t, test.files, test.options); r.Reason() != test.reason || r.Text() != test.want {
			t.Errorf("%s\n got %s: %s\nwant %s: %s", test.name, r.Reason(), r.Text(), test.reason, test.want)
		}
	}
}

func TestWithoutFigures(t *testing.T) {
	for _, test := range []struct {
		files  fs.FS
		reason check.Reason
		want   string
	}{
		{host(), check.ReasonMissing, "memory: there is no /proc/meminfo; the check needs Linux and a mounted /proc"},
		{host(map[string]string{"proc/meminfo": "MemTotal: 1 kB\n"}), check.ReasonProtocol, "memory: /proc/meminfo has no MemTotal or MemAvailable, which Linux has had since 3.14"},
		{host(map[string]string{"proc/meminfo": "MemTotal: many kB\nMemAvailable: 1 kB"}), check.ReasonProtocol, "memory: /proc/meminfo has no MemTotal or MemAvailable, which Linux has had since 3.14"},
	} {
		if r := run(t, test.files, ""); r.Reason() != test.reason || r.Text() != test.want {
			t.Errorf("got  %s: %s\nwant %s: %s", r.Reason(), r.Text(), test.reason, test.want)
		}
	}
	noSwap := map[string]string{"proc/meminfo": "MemTotal: 4 kB\nMemAvailable: 4 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"}
	if r := run(t, host(noSwap), "max_swap=0"); r.Text() != "4.0KiB of 4.0KiB (100%) available" {
		t.Errorf("without swap space: %s", r.Text())
	}
}
