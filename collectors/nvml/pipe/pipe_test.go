package pipe

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	gpu0 = GPU{UUID: "GPU-f0e70b00", Name: "NVIDIA H100 80GB HBM3", PCI: "0000:19:00.0", Minor: 3, Serial: "1653", VBIOS: "96.00", ComputeCapability: "9.0",
		NUMANode: 1, MIG: true, MemoryBytes: 85520809984, Note: "GPU is lost"}
	gpu1      = GPU{UUID: "GPU-f0e70b01", Minor: -1, NUMANode: -1}
	inventory = Inventory{Driver: "550.90.07", CUDA: "12.4", NVML: "12.550.90.07", GPUs: []GPU{gpu0, gpu1}}
	settings  = Settings{FastMS: 1000, SlowMS: 30000, ProcessesMS: 5000, ReinitMS: 60000, Sys: "/sys", Known: []GPU{gpu1, gpu0}}
	processes = Processes{Known: true, Processes: []Process{{4242, 0, 71000000000, true, -1}, {4243, 1, 0, false, 2}}}
	status    = Status{Health: Stuck, Text: "text", Remedy: "remedy", Call: "nvmlInit", GPU: -1, ForMS: 4000, RoundUS: 71}
)

func TestRoundTrip(t *testing.T) {
	for what, c := range map[string]struct {
		want, got any
		err       error
	}{
		"inventory":       both(&inventory, inventory.Append, ParseInventory),
		"empty inventory": both(&Inventory{}, Inventory{}.Append, ParseInventory),
		"settings":        both(settings, settings.Append, ParseSettings),
		"status":          both(status, status.Append, ParseStatus),
		"processes": both(processes, processes.Append, func(b []byte) (Processes, error) {
			return ParseProcesses(b, 2)
		}),
	} {
		if c.err != nil {
			t.Errorf("%s: %v", what, c.err)
		}
		if d := cmp.Diff(c.want, c.got); d != "" {
			t.Errorf("%s (-want +got):\n%s", what, d)
		}
	}
}

func both[T any](want T, write func([]byte) []byte, parse func([]byte) (T, error)) (c struct {
	want, got any
	err       error
}) {
	got, err := parse(write(nil))
	c.want, c.got, c.err = want, got, err
	return c
}

func TestProcessesOfUnknownGPUsAreLeftOut(t *testing.T) {
	got, err := ParseProcesses(processes.Append(nil), 1)
	if err != nil || len(got.Processes) != 1 || got.Processes[0].PID != 4242 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTextIsCleaned(t *testing.T) {
	dirty := Status{Health: OK, Text: "\x1b[2J" + strings.Repeat("x", 10000), GPU: -1}
	got, err := ParseStatus(dirty.Append(nil))
	if err != nil || strings.Contains(got.Text, "\x1b") || len(got.Text) > MaxText {
		t.Errorf("%q, %v", got.Text, err)
	}
}

func TestParseRefuses(t *testing.T) {
	good := inventory.Append(nil)
	for n := range good {
		if _, err := ParseInventory(good[:n]); err == nil {
			t.Errorf("an inventory cut at %d of %d bytes is accepted", n, len(good))
		}
	}
	if _, err := ParseInventory(append(good, 0)); err == nil {
		t.Error("a byte too many is accepted")
	}
	tooMany := Inventory{GPUs: make([]GPU, MaxGPUs+1)}
	if _, err := ParseInventory(tooMany.Append(nil)); err == nil {
		t.Error("too many GPUs are accepted")
	}
	if _, err := ParseStatus(Status{Health: Stuck + 1}.Append(nil)); err == nil {
		t.Error("an unknown health is accepted")
	}
	if _, err := ParseProcesses([]byte{2, 0xfe, 0xff, 0xff, 0xff, 0x0f}, 8); err == nil {
		t.Error("a huge count is accepted")
	}
}

func FuzzParse(f *testing.F) {
	for _, b := range [][]byte{inventory.Append(nil), settings.Append(nil), processes.Append(nil), status.Append(nil)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if inv, err := ParseInventory(b); err == nil && len(inv.GPUs) > MaxGPUs {
			t.Errorf("%d GPUs", len(inv.GPUs))
		}
		if p, err := ParseProcesses(b, 8); err == nil {
			for _, x := range p.Processes {
				if x.PID <= 0 || x.GPU < 0 || x.GPU >= 8 {
					t.Errorf("%+v", x)
				}
			}
		}
		if s, err := ParseStatus(b); err == nil && (s.Health > Stuck || len(s.Text) > MaxText) {
			t.Errorf("%+v", s)
		}
		if s, err := ParseSettings(b); err == nil && len(s.Known) > MaxGPUs {
			t.Errorf("%d known", len(s.Known))
		}
	})
}
