package nvml

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/telemetry"
)

// playedSMI is a shell script in the place of nvidia-smi. It prints the rows of a file, the columns that were asked for, five times a second, and notes each start.
const playedSMI = `#!/bin/sh
dir=$(dirname "$0")
echo "$*" >>"$dir/starts"
case $1 in
--query-compute-apps=*) exec cat "$dir/apps" ;;
esac
for field in $(echo "${1#--query-gpu=}" | tr , ' '); do
	case ,$(cat "$dir/columns"), in
	*,"$field",*) ;;
	*) echo "Field \"$field\" is not a valid field to query."; echo; exit 2 ;;
	esac
done
only=
while [ $# -gt 0 ]; do
	case $1 in --query-gpu=*) fields=${1#*=} ;; -i) only=$2 ;; esac
	shift
done
while :; do
	if [ -s "$dir/message" ] && [ -z "$only" ]; then
		cat "$dir/message"
		exit 15
	fi
	awk -F', ' -v all="$(cat "$dir/columns")" -v ask="$fields" -v only="$only" '
		BEGIN { n = split(all, a, ","); for (i = 1; i <= n; i++) at[a[i]] = i; m = split(ask, q, ",") }
		only != "" && index("," only ",", "," $2 ",") == 0 { next }
		{ s = ""; for (i = 1; i <= m; i++) s = s (i > 1 ? ", " : "") $(at[q[i]]); print s }' "$dir/rows"
	sleep 0.2
done
`

// smiDir makes a folder with a played nvidia-smi and what it prints.
func smiDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	apps, err := os.ReadFile(filepath.Join(smiFixtures, "apps.csv"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"nvidia-smi": playedSMI, "apps": string(apps)}
	all["columns"], all["rows"] = smiText(t, "h100.csv")
	for name, s := range files {
		all[name] = s
	}
	for name, s := range all {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(s), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// smiText is a fixture, its columns' names and its rows.
func smiText(t *testing.T, name string) (columns, rows string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(smiFixtures, name))
	if err != nil {
		t.Fatal(err)
	}
	columns, rows, _ = strings.Cut(string(b), "\n")
	return columns, rows
}

func starts(t *testing.T, dir, kind string) int {
	t.Helper()
	b, _ := os.ReadFile(filepath.Join(dir, "starts"))
	return strings.Count(string(b), "--query-"+kind+"=")
}

func playSMI(t *testing.T, dir string, opt Options) *played {
	t.Helper()
	opt.SMI = filepath.Join(dir, "nvidia-smi")
	if opt.Root == "" {
		opt.Root = t.TempDir()
	}
	p := &played{t: t, Source: start(context.Background(), opt, 50*time.Millisecond, time.Second)}
	t.Cleanup(p.Close)
	return p
}

func TestSMIStream(t *testing.T) {
	t.Parallel()
	dir := smiDir(t, nil)
	root := t.TempDir()
	fakePCI(t, root, "0000:19:00.0", "")
	p := playSMI(t, dir, Options{Root: root, Mono: func() int64 { return 1234 }})
	r := p.until("rounds and processes", func(r Report) bool { return r.Rounds >= 4 && r.ProcessesKnown })
	if r.Health != OK || r.Via != "nvidia-smi" || r.Text != "nvidia-smi is used: there is no foretop-nvml for this node" || r.FastMS != 1234 {
		t.Errorf("report %+v", r)
	}
	if inv := r.Inventory; len(inv.GPUs) != 4 || inv.Driver != "550.90.07" || inv.GPUs[0].NUMANode != 1 || inv.GPUs[1].NUMANode != -1 || inv.GPUs[2].Note != "GPU is lost" {
		t.Errorf("inventory %+v", inv)
	}
	p.want(telemetry.GPUPowerMW, 0, 643210)
	p.want(telemetry.GPUStatus, 2, telemetry.GPULost)
	p.want(telemetry.GPUTempC, 2, telemetry.Absent)
	p.want(telemetry.GPUStatus, 3, telemetry.GPUFailing)
	p.want(telemetry.GPUProcesses, 1, 2)
	if len(r.Processes) != 3 {
		t.Errorf("processes %+v", r.Processes)
	}
	groups := 0
	for _, f := range smiFields {
		groups = max(groups, f.group)
	}
	if n := starts(t, dir, "gpu"); n > groups+1 {
		t.Errorf("started %d times for %d rounds", n, r.Rounds)
	}
	if n := starts(t, dir, "compute-apps"); n != 1 {
		t.Errorf("asked for processes %d times", n)
	}
}

// What an old version does not know costs none of the rest, and is found out in a few starts.
func TestSMIFieldsThatAnOldVersionLacks(t *testing.T) {
	t.Parallel()
	columns, rows := smiText(t, "quadro_r450.csv")
	dir := smiDir(t, map[string]string{"columns": columns, "rows": rows})
	p := playSMI(t, dir, Options{})
	p.until("a round", func(r Report) bool { return r.Health == OK })
	p.want(telemetry.GPUMemTempC, 0, telemetry.Absent)
	p.want(telemetry.GPUFabricState, 0, telemetry.Absent)
	p.want(telemetry.GPUTempC, 0, 36)
	p.want(telemetry.GPURetiredPending, 0, 1)
	groups := 0
	for _, f := range smiFields {
		groups = max(groups, f.group)
	}
	if n := starts(t, dir, "gpu"); n > groups+1 {
		t.Errorf("started %d times", n)
	}
}

func TestSMIGivesUpOnOneLostGPU(t *testing.T) {
	t.Parallel()
	dir := smiDir(t, nil)
	p := playSMI(t, dir, Options{})
	p.until("a round", func(r Report) bool { return r.Health == OK })
	msg := "Unable to determine the device handle for GPU 0000:3B:00.0: GPU is lost.  Reboot the system to recover this GPU\n"
	if err := os.WriteFile(filepath.Join(dir, "message"), []byte(msg), 0o644); err != nil {
		t.Fatal(err)
	}
	r := p.until("the loss", func(r Report) bool {
		return p.state.Get(telemetry.GPUStatus, 1) == telemetry.GPULost
	})
	r = p.until("rounds without it", func(now Report) bool { return now.Rounds > r.Rounds+2 })
	if r.Health != OK || !strings.Contains(r.Inventory.GPUs[1].Note, "GPU is lost") {
		t.Errorf("health %d, %q, note %q", r.Health, r.Text, r.Inventory.GPUs[1].Note)
	}
	p.want(telemetry.GPUStatus, 1, telemetry.GPULost)
	p.want(telemetry.GPUPowerMW, 1, telemetry.Absent)
	p.want(telemetry.GPUPowerMW, 0, 643210)
}

func TestSMIMessages(t *testing.T) {
	t.Parallel()
	p := playSMI(t, smiDir(t, map[string]string{"message": "Failed to initialize NVML: Driver/library version mismatch\n"}), Options{})
	r := p.until("a condition", func(r Report) bool { return r.Health != Unknown })
	if r.Health != Failing || r.Text != "driver and library have different versions" || r.Remedy == "" {
		t.Errorf("health %d, %q", r.Health, r.Text)
	}
}

func TestReaderThatCannotStartGivesWayToSMI(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ program, why string }{
		"glibc": {"#!/bin/sh\necho \"$0: /lib64/libc.so.6: version \\`GLIBC_2.34' not found (required by $0)\" >&2\nexit 1\n", "GLIBC_2.34' not found"},
		"musl":  {"#!/lib/ld-no-such-linker.so.1\n", "no glibc (musl?)"},
		"noise": {"#!/bin/sh\nexit 127\n", "exit status 127"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reader := filepath.Join(t.TempDir(), "foretop-nvml")
			if err := os.WriteFile(reader, []byte(c.program), 0o755); err != nil {
				t.Fatal(err)
			}
			p := playSMI(t, smiDir(t, nil), Options{Reader: reader})
			r := p.until("nvidia-smi", func(r Report) bool { return r.Rounds > 0 })
			if r.Health != OK || r.Via != "nvidia-smi" || !strings.HasPrefix(r.Text, "nvidia-smi is used: foretop-nvml does not start here") || !strings.Contains(r.Text, c.why) {
				t.Errorf("health %d via %s, %q", r.Health, r.Via, r.Text)
			}
		})
	}
}

// A child that is dead but whose pipes somebody else holds, and one that speaks nonsense, must not keep the source waiting.
func TestBrokenReaders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ program, text string }{
		"pipes held":   {"#!/bin/sh\nsleep 300 &\necho $! >>\"$0.pid\"\nprintf '\\002\\377x'\nexit 3\n", "foretop-nvml died: exit status 3"},
		"nonsense":     {"#!/bin/sh\nprintf '\\377\\377\\377\\377\\377\\377\\377\\377'\ncat >/dev/null\n", "foretop-nvml was ended: malformed stream: frame length does not end"},
		"broken words": {"#!/bin/sh\nprintf '\\003\\002{!'\ncat >/dev/null\n", "foretop-nvml was ended: parse inventory: "},
		"endless text": {"#!/bin/sh\nyes\n", "foretop-nvml was ended: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reader := filepath.Join(t.TempDir(), "foretop-nvml")
			if err := os.WriteFile(reader, []byte(c.program), 0o755); err != nil {
				t.Fatal(err)
			}
			if name == "pipes held" {
				t.Cleanup(func() { killAll(t, reader+".pid") })
			}
			s := start(context.Background(), Options{Reader: reader, Root: t.TempDir(), SMI: "/nonexistent"}, time.Hour, time.Hour)
			defer s.Close()
			p := &played{Source: s, t: t}
			if name == "endless text" {
				// y\n is a frame of 121 bytes of an unknown kind: harmless, and skipped for ever; what matters is that it can be closed.
				time.Sleep(300 * time.Millisecond)
				return
			}
			r := p.until("the end of it", func(r Report) bool { return r.Health == Failing })
			if !strings.HasPrefix(r.Text, c.text) {
				t.Errorf("%q, want %q", r.Text, c.text)
			}
		})
	}
}

func killAll(t *testing.T, file string) {
	b, err := os.ReadFile(file)
	if err != nil {
		return
	}
	for _, pid := range strings.Fields(string(b)) {
		var n int
		for _, d := range pid {
			n = 10*n + int(d-'0')
		}
		signal(t, n, "KILL")
	}
}
