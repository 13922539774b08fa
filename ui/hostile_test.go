package ui

import (
	"fmt"
	"strings"
	"testing"
	"unicode"

	"foretop/fleet"
	"foretop/telemetry/facts"

	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
)

func fields(s string) []string { return strings.Fields(s) }

// hostileText is what a node might send to do something to the terminal, or to the layout.
var hostileText = []string{
	"\x1b[2J\x1b[H", "\x1b]0;owned\x07", "\x1b]52;c;cm0gLXJmIC8=\x07", "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "\x1bP+q544e\x1b\\", "\x1b_apc\x1b\\",
	"\x1b[31mred\x1b[0m", "\x1bc", "\x1b[?1049l", "\x1b[6n", "\x9b31m", "\u009b2J", "\u0090q\u009c", "\r\n\n\n", "a\tb", "\b\b\b\b", "\x00\x01\x7f", "\x0e\x0f",
	"\u202egnp.exe", "\u2066\u2069", "\u200b\u200d\ufeff", "e\u0301\u0301\u0301\u0301", "\u2028\u2029", "\xff\xfe\xc0\x80", "👩‍👩‍👧‍👦", "🇩🇪🇩🇪", "👍🏽", "각한글", "漢字漢字漢字", "ﷺ﷽",
	"\U000e0001\U000e0041", "\x1b", "\x1b[", "\x1b]", strings.Repeat("\x1b[A", 200), strings.Repeat("W", 5000), "%s%n%d", "‹›", "\u061c", "\u0600",
}

// hostile puts a text wherever a node's words stand.
func hostile(text string) *fleet.Snapshot {
	s := hang()
	t := text + "x" + text
	for i, n := range s.Nodes {
		if n.Name = fmt.Sprintf("%s%d%s", text, i, text); i == 16 {
			n.Problems[0].Text = t
		}
		n.Cause, n.Remedy, n.Banner = t, t, t
		n.Hello = &facts.Hello{Hostname: t, Os: t, Kernel: t, Build: t, Arch: t}
		n.Inventory = &facts.Inventory{Product: t, GpuDriverVersion: t, CudaVersion: t, Cpu: &facts.CPU{Model: t}, UnseenGpus: []*facts.UnseenGPU{{Pci: t, Vendor: t, Why: t}}}
		for j := range n.GPUs {
			n.GPUs[j].Info = &facts.GPU{Uuid: fmt.Sprint(t, j), Name: t, Pci: t, Serial: t, Vbios: t, ComputeCapability: t, Vendor: []string{t, "amd", "nvidia"}[j%3], Driver: t, Architecture: t,
				BoardPart: t, Firmware: t, Inforom: t, CpuAffinity: t, FabricCluster: t, Chassis: t, Note: t}
		}
		n.Parts = []fleet.Part{{GPU: 0, Info: &facts.GPUPart{Kind: t, Name: t, Uuid: t}}, {GPU: 3, Info: &facts.GPUPart{Name: t}}}
		n.Links = []fleet.Link{{GPU: 0, Info: &facts.GPULink{Kind: t, Remote: t, RemotePci: t}}, {GPU: 3, State: 77, Info: &facts.GPULink{Kind: t, Remote: t, RemotePci: t}}}
		n.Calls = []fleet.Call{{Name: t, Source: 0}, {Name: t, Source: 3}, {Name: t, Source: 99}}
		for j := range n.Ports {
			n.Ports[j].Name, n.Ports[j].LinkLayer, n.Ports[j].Netdev = t, t, t
		}
		for j := range n.Nets {
			n.Nets[j].Name = t
		}
		for j := range n.Disks {
			n.Disks[j].Name, n.Disks[j].Model = t, t
		}
		for j := range n.FS {
			n.FS[j].Mount, n.FS[j].Type, n.FS[j].Device = t, t, t
		}
		for j := range n.Sources {
			n.Sources[j].Text, n.Sources[j].Remedy = t, t
		}
		for j := range n.Kernel {
			n.Kernel[j].Text, n.Kernel[j].Class.Text = t, t
		}
		for _, p := range n.Processes {
			p.Process = &facts.Process{Pid: p.GetPid(), User: t, Command: t, Comm: t, Held: p.GetHeld()}
			p.Status = t
		}
		n.Top = []*facts.ProcessUsage{{Pid: 1, User: t, Command: t, State: t}}
	}
	for i, j := range s.Jobs {
		j.ID, j.Name, j.User, j.Framework, j.Scheduler, j.Partition, j.StateText = t, t, t, t, t, t, t
		j.Key = fmt.Sprint(text, "/", i, t)
		for k := range j.Nodes {
			j.Nodes[k] = s.Nodes[k].Name
		}
		for k := range j.GPUs {
			j.GPUs[k].Node = s.Nodes[k/8].Name
		}
	}
	return s
}

// TestHostileText draws every screen full of text that means harm: nothing comes out but printable characters, line ends and our own SGR, and every
// line keeps its width.
func TestHostileText(t *testing.T) {
	for i, text := range hostileText {
		for _, keys := range []string{"", "enter", "tab", "tab enter", "2", "2 enter", "2 enter enter", "2 enter home enter shift+tab t end", "2 L", "?", "y", "2 y", "u", "2 u", "2 space y", "/"} {
			for _, size := range [][2]int{{80, 24}, {200, 60}, {21, 6}} {
				opt := Options{Profile: colorprofile.TrueColor, ASCII: i%5 == 4}
				d := drive(hostile(text), size[0], size[1], opt)
				d.keys(fields(keys)...)
				d.must(t)
				content := d.View().Content
				if bad := foreign(content); bad != "" {
					t.Fatalf("text %q, keys %q: %s got through", text, keys, bad)
				}
				plain := strings.Split(ansi.Strip(content), "\n")
				for _, l := range plain {
					if w := ansi.StringWidthWc(l); w > size[0] {
						t.Fatalf("text %q, keys %q: line of %d cells for a terminal that counts runes: %q", text, keys, w, l)
					}
				}
			}
		}
	}
}

// foreign names the first thing in a frame that is neither printable nor one of our own colour sequences.
func foreign(s string) string {
	for i := 0; i < len(s); {
		if strings.HasPrefix(s[i:], "\x1b[") {
			end := strings.IndexByte(s[i:], 'm')
			if end < 0 || strings.Trim(s[i+2:i+end], "0123456789;") != "" {
				return fmt.Sprintf("%q", s[i:min(len(s), i+12)])
			}
			i += end + 1
			continue
		}
		for _, r := range s[i:] {
			if r != '\n' && (!unicode.IsPrint(r) && r != unicode.ReplacementChar || unicode.Is(unicode.M, r) || unicode.Is(unicode.Cf, r)) {
				return fmt.Sprintf("%U", r)
			}
			i += len(string(r))
			break
		}
	}
	return ""
}

// TestHostileActing is the same of what is asked before something is done, and of how it went.
func TestHostileActing(t *testing.T) {
	for i, text := range hostileText {
		for _, keys := range []string{"D F enter", "2 F D enter", "K", "2 K space enter enter", "C enter", "2 ! i d enter"} {
			h := newHands(t)
			h.planner.Door = openDoor{}
			d := drive(hostile(text), 80, 24, Options{Profile: colorprofile.TrueColor, ASCII: i%5 == 4, Actor: h})
			d.keys(fields(keys)...)
			for range 2 {
				d.must(t)
				if bad := foreign(d.View().Content); bad != "" {
					t.Fatalf("text %q, keys %q: %s got through", text, keys, bad)
				}
				if d.acting.stage != stageQuestion || d.acting.preview.Trouble != "" {
					break
				}
				d.answer()
				d.acted(t)
			}
		}
	}
}
