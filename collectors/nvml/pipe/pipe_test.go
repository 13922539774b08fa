package pipe

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	gpu0 = GPU{UUID: "GPU-f0e70b00", Name: "NVIDIA H100 80GB HBM3", PCI: "0000:19:00.0", Minor: 3, Serial: "1653", VBIOS: "96.00", ComputeCapability: "9.0",
		Architecture: "Hopper", BoardPart: "692-2G520", Firmware: "550.90.07", InfoROM: "G520", CPUs: "0-55,112-167", FabricCluster: "a0a1", Chassis: "1821",
		NUMANode: 1, ModuleID: 4, FabricClique: 32766, Slot: 13, Tray: 4, MIG: true, MemoryBytes: 85520809984, Note: "GPU is lost"}
	gpu1      = GPU{UUID: "GPU-f0e70b01", Minor: -1, NUMANode: -1, ModuleID: -1}
	inventory = Inventory{Driver: "550.90.07", CUDA: "12.4", NVML: "12.550.90.07", GPUs: []GPU{gpu0, gpu1},
		Parts: []Part{{1, "1g.10gb", "MIG-5eed", 7, 0}}, Links: []Link{{0, 17, "switch", "0000:05:00.0", 4}, {GPU: 1}},
		Calls: []string{"nvmlDeviceGetFieldValues"}, Unseen: []Unseen{{"0000:4c:00.0", "no driver bound"}}}
	settings  = Settings{FastMS: 1000, SlowMS: 30000, ProcessesMS: 5000, ReinitMS: 60000, Detail: true, Root: "/played", Name: "foretop-nvml", Known: []GPU{gpu1, gpu0}}
	processes = Processes{Known: true, Processes: []Process{{4242, 0, 0, 71000000000, true, -1}, {4243, 1, 1, 0, false, 2}}}
	status    = Status{Health: Stuck, Text: "text", Remedy: "remedy", Call: "nvmlInit", GPU: -1, ForMS: 4000, RoundUS: 71}
	event     = Event{GPU: 1, What: "xid", Code: 79, MonoUS: 123456789, Instance: 3}
)

func parseProcesses(b []byte) (Processes, error) { return ParseProcesses(b, 2, 1) }
func parseEvent(b []byte) (Event, error)         { return ParseEvent(b, 2) }

func TestRoundTrip(t *testing.T) {
	for what, c := range map[string]struct {
		want, got any
		err       error
	}{
		"inventory":       both(&inventory, inventory.Append, ParseInventory),
		"empty inventory": both(&Inventory{}, new(Inventory).Append, ParseInventory),
		"settings":        both(settings, settings.Append, ParseSettings),
		"status":          both(status, status.Append, ParseStatus),
		"event":           both(event, event.Append, parseEvent),
		"processes":       both(processes, processes.Append, parseProcesses),
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
	got, err := ParseProcesses(processes.Append(nil), 1, 1)
	if err != nil || len(got.Processes) != 1 || got.Processes[0].PID != 4242 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = ParseProcesses(processes.Append(nil), 2, 0); err != nil || len(got.Processes) != 2 || got.Processes[1].Part != 0 {
		t.Errorf("a part that is not there: %+v, %v", got, err)
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
	for what, v := range map[string]Inventory{
		"too many GPUs":        {GPUs: make([]GPU, MaxGPUs+1)},
		"too many links":       {GPUs: []GPU{gpu0}, Links: make([]Link, MaxLinks+1)},
		"too many parts":       {GPUs: []GPU{gpu0}, Parts: make([]Part, MaxParts+1)},
		"too many calls":       {Calls: make([]string, MaxCalls+1)},
		"a link of no GPU":     {GPUs: []GPU{gpu0}, Links: []Link{{GPU: 1}}},
		"a negative link":      {GPUs: []GPU{gpu0}, Links: []Link{{Link: -1}}},
		"a part of no GPU":     {Parts: []Part{{}}},
		"a negative instance":  {GPUs: []GPU{gpu0}, Parts: []Part{{Instance: -1}}},
		"too many unseen GPUs": {Unseen: make([]Unseen, MaxGPUs+1)},
	} {
		if _, err := ParseInventory(v.Append(nil)); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	for what, e := range map[string]Event{"of no GPU": {GPU: 2}, "before GPU 0": {GPU: -1}, "of a negative instance": {Instance: -1}} {
		if _, err := ParseEvent(e.Append(nil), 2); err == nil {
			t.Errorf("an event %s is accepted", what)
		}
	}
	if _, err := ParseStatus(Status{Health: Stuck + 1}.Append(nil)); err == nil {
		t.Error("an unknown health is accepted")
	}
	if _, err := ParseProcesses([]byte{2, 0xfe, 0xff, 0xff, 0xff, 0x0f}, 8, 0); err == nil {
		t.Error("a huge count is accepted")
	}
}

func FuzzParse(f *testing.F) {
	for _, b := range [][]byte{inventory.Append(nil), settings.Append(nil), processes.Append(nil), status.Append(nil), event.Append(nil)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if inv, err := ParseInventory(b); err == nil {
			if len(inv.GPUs) > MaxGPUs || len(inv.Links) > MaxLinks || len(inv.Parts) > MaxParts {
				t.Errorf("%d GPUs, %d links, %d parts", len(inv.GPUs), len(inv.Links), len(inv.Parts))
			}
			for _, l := range inv.Links {
				if l.GPU < 0 || l.GPU >= len(inv.GPUs) {
					t.Errorf("%+v", l)
				}
			}
		}
		if e, err := ParseEvent(b, 8); err == nil && (e.GPU < 0 || e.GPU >= 8 || e.Instance < 0 || len(e.What) > MaxWord) {
			t.Errorf("%+v", e)
		}
		if p, err := ParseProcesses(b, 8, 3); err == nil {
			for _, x := range p.Processes {
				if x.PID <= 0 || x.GPU < 0 || x.GPU >= 8 || x.Part < 0 || x.Part > 3 {
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
