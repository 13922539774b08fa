package collectors

import (
	"bytes"
	"slices"
	"testing"
	"unicode/utf8"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

// Every parser takes whatever bytes a kernel, a driver or a hostile process may give: it never panics, and what it makes fits to travel.
func FuzzParsers(f *testing.F) {
	for _, s := range []string{
		"cpu  10 1 5 100 7 2 3 4 0 0\ncpu0 5 1 2 50 3 1 2 2 0 0\nctxt 77\n", "MemTotal:  123 kB\nMemFree: 5 kB\n", "12.34 10.01 8.50 9/3120 918273\n",
		"some avg10=0.00 avg60=0.01 avg300=0.00 total=123\nfull avg10=0.00 total=5\n", "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
		" 259 0 nvme0n1 1 2 3 4 5 6 7 8 9 10 11\n", "42 (a) (b) R 7 42 42 0 -1 2097216 1 2 3 4 100 50 0 0 -5 19 3 0 9999 123 25\n",
		"Uid:\t1\t1\t1\t1\nNSpid:\t1\t2\t3\n", "9:devices:/slurm/uid_1/job_2\n0::/\n", "RANK=3\x00WORLD_SIZE=8\x00", "6,1,2,-,caller=T1;text \\x1b[0m\n DEVICE=+pci:0\n",
		`{"MESSAGE":[104,105],"PRIORITY":"3","__MONOTONIC_TIMESTAMP":"5"}`, "36 35 98:0 / /a\\040b rw shared:1 - ext4 /dev/x rw\n",
		"processor\t: 0\nphysical id\t: 0\ncore id\t\t: 0\n", "root:x:0:0:root:/root:/bin/sh\n", "400 Gb/sec (4X NDR)\n",
	} {
		f.Add([]byte(s))
	}
	keys := toldKeys()
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var c cpuStat
		if parseStat(b, &c, true) == nil && len(c.cores) > telemetry.MaxEntities(telemetry.ScopeCore) {
			t.Error("too many cores")
		}
		parseMeminfo(b)
		parseLoad(b)
		parsePressure(b)
		var n netReader
		n.m = &machine{root: kernfs.Root("/nonexistent"), board: newBoard(0)}
		n.parse(b)
		var d diskReader
		d.parse(b)
		var s procStat
		parseProcStat(b, &s)
		parseProcStatus(b)
		parseCgroup(b)
		env, _ := parseEnviron(b, keys)
		for k, v := range env {
			if !slices.Contains(telemetry.EnvKeys, k) || telemetry.Clean(v, telemetry.EnvValueBytes(k)) != v {
				t.Errorf("environment holds %q=%q", k, v)
			}
		}
		for rest := b; len(rest) > 0; {
			var one []byte
			one, rest = nextRecord(rest)
			if r, err := parseKmsg(one); err == nil {
				important(r.level, r.text)
				if m := r.message(); !utf8.ValidString(m.Text) || len(m.Text) > maxKernelText || telemetry.Clean(m.Text, maxKernelText) != m.Text {
					t.Errorf("kernel text %q", m.Text)
				}
			}
		}
		if r, err := parseJournal(b); err == nil {
			if m := r.message(); telemetry.Clean(m.Text, maxKernelText) != m.Text || telemetry.Clean(m.Device, maxKernelDevice) != m.Device {
				t.Errorf("kernel text %q of %q", m.Text, m.Device)
			}
		}
		parseMounts(b)
		parseCPUInfo(b)
		parsePasswd(b, map[uint32]string{})
		parseRate(b)
		maskCommand(splitArgs(b))
		isLauncher(splitArgs(b))
		spawned(splitArgs(b))
		titledRank(splitArgs(b))
		if !bytes.Equal(b, before) {
			t.Error("a parser wrote to its input")
		}
	})
}
