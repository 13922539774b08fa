package accelerators

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

// ascendHost is a machine with NPUs at the addresses given, and the BMC's graphics card, which is Huawei's as well.
func ascendHost(t testing.TB, device string, addresses ...string) kernfs.Root {
	root := kernfs.Root(t.TempDir())
	put(t, root, "sys/bus/pci/devices/0000:06:00.0/vendor", "0x19e5\n")
	put(t, root, "sys/bus/pci/devices/0000:06:00.0/device", "0x1711\n")
	for _, address := range addresses {
		d := "sys/bus/pci/devices/" + address + "/"
		put(t, root, d+"vendor", "0x19e5\n")
		put(t, root, d+"device", device+"\n")
		put(t, root, d+"numa_node", "1\n")
		put(t, root, d+"current_link_width", "16\n")
		link(t, root, d+"driver", "../../../../bus/pci/drivers/devdrv_device_driver")
	}
	return root
}

// npuSMI puts an npu-smi on PATH that answers with the files of a kind.
func npuSMI(t *testing.T, kind string) {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "testdata", "accelerators"))
	if err != nil {
		t.Fatal(err)
	}
	script(t, "npu-smi", fmt.Sprintf(`case "$*" in
info) cat %[1]s/npu-smi.%[2]s.txt;;
"info -t ecc -i 0") cat %[1]s/npu-smi-ecc.%[2]s.txt;;
*) echo "Error parameter of $*"; exit 1;;
esac`, dir, kind))
}

// settle reads until npu-smi was asked for its table and the errors of the first card.
func settle(t *testing.T, c *clock, r *ascendReader) {
	t.Helper()
	soon(t, "npu-smi's answers", func() bool {
		c.pass(time.Second)
		r.Read(background, false)
		return r.reading.SlowMS != 0
	})
}

// Four of a node's eight 910B, one with two processes, one that npu-smi warns of, and one that is ill; the bus has a fifth that is not shown to this user.
func TestAscend(t *testing.T) {
	npuSMI(t, "910b")
	var c clock
	r := newAscend(c.machine(ascendHost(t, "0xd802", "0000:81:00.0", "0000:82:00.0", "0000:c1:00.0", "0000:c2:00.0", "0000:c3:00.0"))).(*ascendReader)
	defer r.Close()
	r.Read(background, false)
	if len(r.reading.GPUs) != 5 || r.reading.GPUs[4].Name != "Ascend 910B" || r.reading.GPUs[4].Note != "not checked" {
		t.Errorf("before npu-smi answers: %v", r.reading.GPUs)
	}
	settle(t, &c, r)
	if got := conditionOf(t, r.Read(background, false)); got.State != facts.SourceState_SOURCE_OK || got.Text != "npu-smi warns of NPU 2 chip 0" {
		t.Errorf("says %+v", got)
	}
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{ // 2, 3, 0, 1: by address
		telemetry.GPUStatus:                  "0 2 0 0",
		telemetry.GPUUtilPct:                 "0 - 97 0",
		telemetry.GPUMemUsedBytes:            fmt.Sprintf("%d 0 %d %[1]d", 3314<<20, 59356<<20),
		telemetry.GPUMemTotalBytes:           repeated(4, fmt.Sprint(64<<30)),
		telemetry.GPUPowerMW:                 "102000 - 101800 92000",
		telemetry.GPUTempC:                   "40 - 43 39",
		telemetry.GPUProcesses:               "0 0 2 0",
		telemetry.GPUECCVolatileCorrected:    "- - 3 -",
		telemetry.GPUECCAggregateUncorrected: "- - 2 -",
		telemetry.GPURetiredPagesUncorrected: "- - 2 -",
		telemetry.GPURetiredPending:          "- - 1 -",
		telemetry.GPUPCIeWidth:               repeated(4, "16"),
	})
	if h := r.reading.Holders; len(h) != 2 || h[0] != (Holder{712733, 2, 0, 48954 << 20, true}) || h[1] != (Holder{712734, 2, 0, 7000 << 20, true}) {
		t.Errorf("held: %v", h)
	}
	if u := r.reading.Unseen; len(u) != 1 || u[0].Pci != "0000:c3:00.0" || u[0].Why != "not shown by npu-smi" {
		t.Errorf("unseen: %v", u)
	}
	if g := r.reading.GPUs[1]; g.Note != "health: Alarm" || g.BoardPart != "910B3" || g.Driver != "24.1.0" || g.NumaNode != 1 || g.MemoryTotalBytes != 64<<30 {
		t.Errorf("the ill one is %v", g)
	}
}

// Cards of two chips, whose errors come by chip.
func TestAscendTwoChips(t *testing.T) {
	npuSMI(t, "910c")
	var c clock
	r := newAscend(c.machine(ascendHost(t, "0xd803", "0000:99:00.0", "0000:9b:00.0", "0000:9d:00.0", "0000:9f:00.0"))).(*ascendReader)
	defer r.Close()
	settle(t, &c, r)
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{
		telemetry.GPUUtilPct: "0 0 100 60", telemetry.GPUPowerMW: "159600 - 204000 -", telemetry.GPUProcesses: "0 0 1 1", telemetry.GPUECCAggregateCorrected: "- - 5 9",
		telemetry.GPUStatus: "0 0 0 0",
	})
	if g := r.reading.GPUs[3]; g.Minor != 1 || g.Name != "Ascend 910C" || len(r.reading.Holders) != 2 || r.reading.Holders[1] != (Holder{1712733, 3, 0, 48100 << 20, true}) {
		t.Errorf("the last is %v, held: %v", g, r.reading.Holders)
	}
}

// No npu-smi: the chips are there, and not checked.
func TestAscendWithoutTool(t *testing.T) {
	t.Setenv("PATH", "/nowhere")
	var c clock
	r := newAscend(c.machine(ascendHost(t, "0xd500", "0000:01:00.0", "0000:81:00.0"))).(*ascendReader)
	defer r.Close()
	soon(t, "it is told", func() bool {
		got := conditionOf(t, r.Read(background, false))
		return got.State == facts.SourceState_SOURCE_UNSUPPORTED && strings.HasPrefix(got.Text, "2 Ascend NPUs are here, and not checked: npu-smi is missing") && got.Remedy != ""
	})
	wantColumns(t, r.Reading(), map[telemetry.Metric]string{telemetry.GPUStatus: "- -", telemetry.GPUUtilPct: "- -"})
	if g := r.reading.GPUs[1]; g.Name != "Ascend 310P" || g.Note != "not checked" {
		t.Errorf("a chip is %v", g)
	}
}

// npu-smi fails, and is asked less and less; it hangs, and there is never a second one; it answers again.
func TestAscendTrouble(t *testing.T) {
	start, started := playPrograms()
	var c clock
	m := c.machine(ascendHost(t, "0xd802", "0000:81:00.0", "0000:82:00.0", "0000:c1:00.0", "0000:c2:00.0"))
	m.Start = start
	r := newAscend(m).(*ascendReader)
	defer r.Close()
	answer := func(p *playedProgram, text string, err error) {
		t.Helper()
		io.WriteString(p.say, text)
		p.say.(io.Closer).Close()
		p.ended <- err
	}
	runs := 0
	r.Read(background, false)
	for range 200 {
		if r.smi.out() > 0 {
			runs++
			answer(<-started, "dcmi module initialize failed. ret is -8005\n", fmt.Errorf("exit status 255"))
			soon(t, "it is done", func() bool { return r.smi.out() == 0 })
		}
		c.pass(time.Second)
		r.Read(background, false)
	}
	if got := conditionOf(t, r.Read(background, false)); got.State != facts.SourceState_SOURCE_FAILING || !strings.Contains(got.Text, "exit status 255") {
		t.Errorf("says %+v", got)
	}
	if runs != 5 { // at 0, 10, 30, 70 and 150 s
		t.Errorf("%d runs in 200 s", runs)
	}
	// It hangs and does not die.
	r.smi.deadline = 20 * time.Millisecond
	var p *playedProgram
	soon(t, "another run", func() bool {
		c.pass(10 * time.Second)
		r.Read(background, false)
		select {
		case p = <-started:
			return true
		default:
			return false
		}
	})
	<-p.killed
	r.smi.mu.Lock()
	r.smi.asked = time.Now().Add(-time.Minute)
	r.smi.mu.Unlock()
	for range 100 {
		c.pass(time.Minute)
		r.Read(background, false)
	}
	if got := conditionOf(t, r.Read(background, false)); got.State != facts.SourceState_SOURCE_STUCK || got.Stuck < time.Minute || len(started) != 0 {
		t.Errorf("says %+v, %d more were started", got, len(started))
	}
	answer(p, "", fmt.Errorf("killed"))
	r.smi.deadline = time.Minute
	soon(t, "a table", func() bool {
		select {
		case p := <-started:
			answer(p, string(recorded(t, "npu-smi.910b.txt")), nil)
		default:
		}
		c.pass(10 * time.Second)
		r.Read(background, false)
		return column(&r.reading, telemetry.GPUStatus) == "0 2 0 0"
	})
}

func TestAscendTables(t *testing.T) {
	for _, c := range []struct{ file, want, processes string }{
		{"910b", "0/0 0000:c1:00.0 910B3 OK 101.8 43 97 59356/65536; 1/0 0000:c2:00.0 910B3 OK 92 39 0 3314/65536; 2/0 0000:81:00.0 910B3 Warning 102 40 0 3314/65536; 3/0 0000:82:00.0 910B3 Alarm NaN NaN NaN 0/65536",
			"{0 0 712733 48954} {0 0 712734 7000}"},
		{"910c", "0/0 0000:9d:00.0 Ascend910 OK 204 43 100 59807/65536; 0/1 0000:9f:00.0 Ascend910 OK NaN 40 60 59536/65536; 1/0 0000:99:00.0 Ascend910 OK 159.6 39 0 3124/65536; 1/1 0000:9b:00.0 Ascend910 OK NaN 38 0 2891/65536",
			"{0 0 1712733 48954} {0 1 1712733 48100}"},
		{"310p", "2/0 0000:01:00.0 310P3 OK NaN 41 12 1703/21534; 5/0 0000:81:00.0 310P3 OK 17.3 39 0 1702/21534", "{2 0 4242 612}"},
		{"910a", "0/0 0000:c1:00.0 910ProB OK 78.4 33 0 30711/32768", "{0 0 55115 30784}"},
	} {
		table := parseAscendTable(recorded(t, "npu-smi."+c.file+".txt"))
		var rows []string
		for _, r := range table.rows {
			rows = append(rows, fmt.Sprintf("%d/%d %s %s %s %v %v %v %v/%v", r.card, r.chip, r.pci, r.name, r.health, r.powerW, r.tempC, r.util, r.usedMB, r.totalMB))
		}
		if got := strings.Join(rows, "; "); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.file, got, c.want)
		}
		if got := strings.Trim(fmt.Sprint(table.processes), "[]"); got != c.processes {
			t.Errorf("%s: processes %s", c.file, got)
		}
	}
	whole := string(recorded(t, "npu-smi.910b.txt"))
	for name, bad := range map[string]string{
		"nothing": "", "words": "dcmi module initialize failed. ret is -8005\n", "cut in the first chip": whole[:strings.Index(whole, "0000:C1")],
		"no bars": strings.ReplaceAll(whole, "|", " "), "no addresses": strings.ReplaceAll(whole, "0000:", "????:"), "one line": strings.ReplaceAll(whole, "\n", " "),
	} {
		if table := parseAscendTable([]byte(bad)); len(table.rows) != 0 {
			t.Errorf("%s: %+v", name, table.rows)
		}
	}
	// A line that is spoilt costs its chip, and no other.
	lines := strings.SplitAfter(whole, "\n")
	for i := range lines {
		spoilt := slices.Clone(lines)
		spoilt[i] = "| \x1b[31m lorem \xff | ipsum |\n"
		if table := parseAscendTable([]byte(strings.Join(spoilt, ""))); len(table.rows) < 3 {
			t.Errorf("line %d spoilt: %d rows are left", i, len(table.rows))
		}
	}
}

func TestAscendECC(t *testing.T) {
	if got := fmt.Sprint(parseAscendECC(recorded(t, "npu-smi-ecc.910c.txt"))); got != "[{0 [0 0 5 0 0 0 0]} {1 [1 0 9 1 0 1 0]}]" {
		t.Error(got)
	}
	// One chip without its number; half of the lines.
	if got := fmt.Sprint(parseAscendECC([]byte("HBM Single Bit Error Count : 4\nHBM Double Bit Error Count : NA\nHBM Double Bit Aggregate Total Err Cnt:9"))); got != "[{0 [4 -1 -1 9 -1 -1 -1]}]" {
		t.Error(got)
	}
	for _, bad := range []string{"", ":", "Chip ID : 3", "This device does not support querying ecc.", "HBM Single Bit Error Count : -1"} {
		if got := parseAscendECC([]byte(bad)); len(got) != 0 {
			t.Errorf("%q: %v", bad, got)
		}
	}
}
