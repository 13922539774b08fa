package nvml

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"foretop/collectors/nvml/pipe"
	"foretop/telemetry"
)

// dump writes what is known of a machine, in words: of entities that are alike the first, and of the others what differs.
func (p *played) dump(r Report) string {
	var b strings.Builder
	inv := r.Inventory
	fmt.Fprintf(&b, "driver %s, CUDA %s, NVML %s\n%q, health %d\n", inv.Driver, inv.CUDA, inv.NVML, r.Text, r.Health)
	fmt.Fprintf(&b, "\n%d GPUs\n", len(inv.GPUs))
	p.entities(&b, telemetry.ScopeGPU, func(i int) string { return fmt.Sprintf("%+v", inv.GPUs[i]) })
	fmt.Fprintf(&b, "\n%d links\n", len(inv.Links))
	p.entities(&b, telemetry.ScopeGPULink, func(i int) string {
		l := inv.Links[i]
		return fmt.Sprintf("%s, version %d", l.Remote, l.Version)
	})
	fmt.Fprintf(&b, "\n%d parts\n", len(inv.Parts))
	p.entities(&b, telemetry.ScopeGPUPart, func(i int) string { return fmt.Sprintf("%+v", inv.Parts[i]) })
	fmt.Fprintf(&b, "\nunseen: %v\nprocesses: %v\ncalls:", inv.Unseen, r.Processes)
	for i, name := range inv.Calls {
		if p.state.Get(telemetry.CallCount, i) > 0 {
			fmt.Fprintf(&b, " %s", name)
		}
	}
	return b.String() + "\n"
}

func (p *played) entities(b *strings.Builder, sc telemetry.Scope, words func(int) string) {
	var first []string
	for i := range p.state.Count(sc) {
		lines := []string{"  " + words(i)}
		for _, d := range telemetry.Defs() {
			if v := p.state.Get(d.ID, i); d.ID.Scope() == sc && v != telemetry.Absent {
				lines = append(lines, fmt.Sprintf("  %s %d", d.Name, v))
			}
		}
		if first == nil {
			first = lines
			fmt.Fprintln(b, strings.Join(lines, "\n"))
			continue
		}
		lines = slices.DeleteFunc(lines, func(l string) bool { return slices.Contains(first, l) })
		if len(lines) > 0 {
			fmt.Fprintf(b, "%d:%s\n", i, strings.Join(lines, ";"))
		}
	}
}

// Every reading of every kind of machine, by the real go-nvml, when somebody looks. -update writes the files of testdata/nvml/golden.
func TestMachines(t *testing.T) {
	for name, lines := range map[string][]string{
		"h100":  {"gpu 0 proc 4242 71000000000", "gpu 3 nvlinks_down 2", "gpu 3 link 7 replay 9", "gpu 5 recovery_action 1", "gpu 6 fabric_state 1"},
		"h200":  {"gpu 1 fabric_status 999", "gpu 2 sram_unc 5", "gpu 2 sram_threshold 1"},
		"b200":  {"gpu 1 link 3 rx_errors 4", "gpu 1 link 3 recovery 2", "gpu 1 link 3 recovery_failed 1", "gpu 1 link 3 symbol 12", "gpu 1 link 3 effective 1", "gpu 1 link 3 tx_discards 6"},
		"gb200": {"gpu 2 c2c_up 9", "gpu 3 link 17 state 2"},
		"a100": {"gpu 1 mig 1", "gpu 1 instance 1 0 3 3 40192 1024 70", "gpu 1 instance 5 0 1 1 9728 37 10", "gpu 1 proc 77 1048576 1 0", "gpu 0 link 2 ecc 8",
			"gpu 0 link 2 crc 3", "gpu 7 remap_failure 1"},
		"v100": {"gpu 4 retired_sbe 11", "gpu 4 retired_dbe 2", "gpu 4 retired_pending 1", "gpu 0 nvlink_replay 7"},
		"l40s": {"gpu 2 throttle 68", "gpu 2 ecc 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			driver := programs(t).driver
			if name == "v100" {
				driver = programs(t).oldDriver
			}
			p := play(t, driver, append([]string{"machine " + name, "freeze 1000", "wobble 0"}, lines...)...)
			p.Detail(true)
			p.until("all", func(r Report) bool {
				return r.CallsMS > 0 && r.ProcessesKnown && (len(r.Inventory.Links) == 0 || r.LinksMS > 0 && known(r.Inventory.Links))
			})
			got := p.dump(p.slow())
			file := filepath.Join("../../testdata/nvml/golden", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// known says whether the ends of links were asked for: of all but those that are down.
func known(links []pipe.Link) bool {
	n := 0
	for _, l := range links {
		if l.Version > 0 {
			n++
		}
	}
	return n > len(links)-4
}

// While nobody looks, what only a viewer wants is neither asked for nor told; when somebody does, it is there at once, and gone afterwards.
func TestLevels(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver, "machine h100", "wobble 0")
	p.slow()
	check := func(what string, detail bool) {
		t.Helper()
		for _, m := range []telemetry.Metric{telemetry.GPUPowerMW, telemetry.GPUSMActivityPermille, telemetry.GPUECCMode, telemetry.GPULinksUp, telemetry.GPUNVLinkReplays,
			telemetry.GPUFabricState, telemetry.GPUSlowdownTempC, telemetry.LinkState} {
			if p.state.Get(m, 5) == telemetry.Absent {
				d, _ := telemetry.Lookup(m)
				t.Errorf("%s: %s is absent", what, d.Name)
			}
		}
		for _, d := range telemetry.Defs() {
			switch d.ID {
			case telemetry.GPUMemReservedBytes, telemetry.LinkReplays, telemetry.LinkRecoveries, telemetry.LinkCRCErrors:
				continue // comes with the memory that is used; summed up for the GPU
			}
			if sc := d.ID.Scope(); d.Level == telemetry.Detail && slices.Contains(pipe.Scopes[:], sc) && !detail && p.state.Has(d.ID) {
				for i := range p.state.Count(sc) {
					if p.state.Get(d.ID, i) != telemetry.Absent {
						t.Fatalf("%s: %s of %d is there", what, d.Name, i)
					}
				}
			}
		}
	}
	check("at first", false)
	p.Detail(true)
	p.until("somebody looks", func(r Report) bool {
		for _, m := range []telemetry.Metric{telemetry.GPUPCIeFatalErrors, telemetry.GPUEncoderPct, telemetry.GPUThrottlePowerMS, telemetry.GPUSMOccupancyPermille,
			telemetry.GPUBAR1TotalBytes, telemetry.GPUTempMarginC, telemetry.LinkTXBytes, telemetry.LinkSpeedMBps, telemetry.GPUEnergyMJ} {
			if p.state.Get(m, 5) == telemetry.Absent {
				return m == telemetry.GPUTempMarginC // an H100 of R550 has none
			}
		}
		return p.state.Get(telemetry.CallCount, slices.Index(r.Inventory.Calls, "nvmlDeviceGetFieldValues")) > 0
	})
	check("in between", true)
	p.Detail(false)
	p.until("nobody looks any more", func(r Report) bool { return p.state.Get(telemetry.GPUEnergyMJ, 5) == telemetry.Absent })
	check("afterwards", false)
}

// Pace and level travel together: the later does not undo the earlier.
func TestPaceKeepsTheLevel(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver)
	p.next(1)
	p.Detail(true)
	p.Pace(250 * 1e6)
	p.until("detail", func(Report) bool { return p.state.Get(telemetry.GPUEnergyMJ, 0) > 0 })
}

func TestSixteenGPUsAndTheirLinks(t *testing.T) {
	t.Parallel()
	p := play(t, programs(t).driver, "machine gb200", "gpus 16", "wobble 0", "gpu 15 temp_c 77", "gpu 11 link 35 replay 1", "gpu 12 nvlinks 36", "gpu 13 nvlinks 0")
	p.Detail(true)
	r := p.slow()
	if n := len(r.Inventory.GPUs); n != 16 {
		t.Fatalf("%d GPUs", n)
	}
	if n := len(r.Inventory.Links); n != 14*18+36 {
		t.Errorf("%d links", n)
	}
	p.want(telemetry.GPUTempC, 15, 77)
	p.want(telemetry.GPULinks, 12, 36)
	p.want(telemetry.GPULinksUp, 12, 36)
	p.want(telemetry.GPULinks, 13, telemetry.Absent)
	p.want(telemetry.GPULinksUp, 14, 18)
	last := r.Inventory.Links[len(r.Inventory.Links)-1]
	if last.GPU != 15 || last.Link != 17 {
		t.Errorf("the last link is %+v", last)
	}
}
