package ui

import (
	"slices"
	"strings"
	"testing"
)

// TestSelectionTravels shows that what is selected stays so where it is not there for a while, and that the screen says it.
func TestSelectionTravels(t *testing.T) {
	back, on := strings.Fields(", , , , , , , , ,"), strings.Fields(". . . . . . . .")
	d := traveller(nightPast(), 120, 40, Options{})
	d.keys("down", "down", "down", "down")
	job := d.jobs.selected()
	if job != "slurm/8131" {
		t.Fatalf("selected is %s", job)
	}
	d.keys(back...)
	d.must(t)
	d.reads(t, "? job 8131 was not seen at 11:54:41")
	if d.keys("enter"); d.screen != screenJobs || !strings.Contains(d.notice, "no job is selected") {
		t.Errorf("Enter opens something: %q", d.notice)
	}
	if d.keys(on...); d.jobs.selected() != job {
		t.Errorf("selected is %q", d.jobs.selected())
	}
	d.keys(back...)
	if d.keys("down"); d.jobs.selected() == "" || d.jobs.selected() == job {
		t.Errorf("Down selects %q", d.jobs.selected())
	}

	d = traveller(nightPast(), 120, 40, Options{})
	d.keys("down", "down", "down", "down", "enter")
	d.keys(back...)
	d.must(t)
	d.reads(t, "job 8131 was not seen at 11:54:41")
	if d.keys(on...); d.jobs.selected() != job {
		t.Errorf("the page is of %q", d.jobs.selected())
	}
	d.reads(t, "gemma-9b")
	if d.keys("Z"); d.jobs.selected() != job {
		t.Errorf("now the page is of %q", d.jobs.selected())
	}

	for _, keys := range []string{"2 G", "2 G enter", "2 G enter enter", "2 G L"} {
		d = traveller(nightPast(), 120, 40, Options{})
		d.keys(strings.Fields(keys)...)
		if d.nodes.selected() != "gpu064" {
			t.Fatalf("selected is %s", d.nodes.selected())
		}
		place := d.place()
		d.keys(back...)
		d.must(t)
		d.reads(t, "gpu064 was not watched at 11:54:41")
		d.keys(on...)
		if d.nodes.selected() != "gpu064" || d.place() != place || strings.Contains(d.text(), "was not watched") {
			t.Errorf("%s: selected is %q at %s\n%s", keys, d.nodes.selected(), placeNames[d.place()], d.text())
		}
	}
}

// TestGPUTravels shows that a GPU stays selected where its node did not have it yet, or had it under another number.
func TestGPUTravels(t *testing.T) {
	p := nightPast()
	for i, s := range p.pictures[:2] {
		n := *s.Nodes[0]
		n.GPUs = slices.Clone(n.GPUs)
		if i == 0 {
			n.GPUs = n.GPUs[:5]
		} else { // two have changed places
			n.GPUs[6], n.GPUs[7] = n.GPUs[7], n.GPUs[6]
			n.GPUs[6].Index, n.GPUs[7].Index = 6, 7
		}
		s.Nodes[0] = &n
	}
	d := traveller(p, 120, 40, Options{})
	d.keys("2", "<") // by name
	d.openNode(screenNode, "gpu001", 7)
	d.keys(strings.Fields(", , , , , , , ,")...) // 11:55:41
	if d.node.selected != 6 {
		t.Errorf("the GPU is selected as %d, its number was 6", d.node.selected)
	}
	d.keys(strings.Fields(", , , , ,")...) // 11:50:41: there were five
	d.must(t)
	d.reads(t, "GPU 6 was not there at 11:50:41")
	if d.keys("enter"); d.screen != screenNode {
		t.Error("Enter opens another GPU")
	}
	if d.keys("up"); d.node.selected != 4 {
		t.Errorf("Up selects %d", d.node.selected)
	}
}
