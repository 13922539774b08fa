package collectors

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
	"foretop/telemetry/facts"
)

const edacTest = "sys/devices/system/edac/mc/"

func TestMemoryErrors(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		files                  map[string]string
		remove                 string
		corrected, uncorrected int64
		state                  facts.SourceState
		words                  string
	}{
		{"sums over controllers", nil, "", 17, 1, facts.SourceState_SOURCE_OK, ""},
		{"none here", nil, edacTest, telemetry.Absent, telemetry.Absent, facts.SourceState_SOURCE_UNSUPPORTED, "EDAC"},
		{"a count that is no number: its sum is not known, the other is", map[string]string{"mc1/ce_count": "many\n"}, "", telemetry.Absent, 1, facts.SourceState_SOURCE_FAILING, "mc1/ce_count"},
		{"a count below zero", map[string]string{"mc0/ue_count": "-1\n"}, "", 17, telemetry.Absent, facts.SourceState_SOURCE_FAILING, "mc0/ue_count"},
		{"a count that cannot be", map[string]string{"mc0/ue_count": "18446744073709551615\n"}, "", 17, telemetry.Absent, facts.SourceState_SOURCE_FAILING, "mc0/ue_count"},
		{"a controller without counts", nil, edacTest + "mc10", 17, 0, facts.SourceState_SOURCE_OK, ""},
		{"folders of other names", map[string]string{"mcx/ce_count": "9\n", "mc/ce_count": "9\n"}, "", 17, 1, facts.SourceState_SOURCE_OK, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := extract(t, "h100")
			if tt.remove != "" {
				if err := os.RemoveAll(root.Path(tt.remove)); err != nil {
					t.Fatal(err)
				}
			}
			for name, text := range tt.files {
				if err := os.MkdirAll(filepath.Dir(root.Path(edacTest+name)), 0o755); err != nil {
					t.Fatal(err)
				}
				write(t, root, edacTest+name, text)
			}
			p := play(t, kernfs.Root(root), sourcesOf("edac"))
			p.tick()
			if c, u := p.get(telemetry.MemCorrectedErrors, 0), p.get(telemetry.MemUncorrectedErrors, 0); c != tt.corrected || u != tt.uncorrected {
				t.Errorf("%d corrected, %d uncorrected; wanted %d, %d", c, u, tt.corrected, tt.uncorrected)
			}
			if c := p.condition("edac"); c.state != tt.state || !strings.Contains(c.text, tt.words) {
				t.Errorf("%s: %q", c.state, c.text)
			}
		})
	}
}

// The wall clock's distance from the monotonic one is told anew when it changes by more than the time between two readings of clocks.
func TestWallClockIsTold(t *testing.T) {
	var was int64
	for _, step := range []struct{ is, want int64 }{{1_795_440_000_000, 1_795_440_000_000}, {1_795_440_000_003, 1_795_440_000_000}, {1_795_439_999_985, 1_795_440_000_000}, {1_795_440_000_020, 1_795_440_000_020}, {1_795_436_400_020, 1_795_436_400_020}} {
		if was = steady(was, step.is); was != step.want {
			t.Errorf("%d told as %d", step.is, was)
		}
	}
	p := play(t, extract(t, "h100"), sourcesOf("cpu"))
	p.tick()
	if got := p.get(telemetry.WallOffsetMS, 0); got != 1_795_440_000_000 {
		t.Errorf("offset %d", got)
	}
}
