package ui

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foretop/fleet"

	"github.com/charmbracelet/colorprofile"
)

// withRAS is the fleet in which a job hangs, with what NCCL said of it.
func withRAS(r *fleet.RAS) *fleet.Snapshot {
	s := hang()
	r.At, r.Node = noon.Add(-12*time.Second), "gpu001"
	s.Jobs[0].RAS = r
	return s
}

func rasLag() *fleet.RAS {
	return &fleet.RAS{NCCL: "2.27.5", Form: "text", CommsTotal: 73, LaggingN: 3, Timeouts: 1,
		Comms: []fleet.RASComm{
			{Name: "#0", Alike: 1, Size: 256, Nodes: 32, Status: "RUNNING", Errors: "MISMATCH", First: -1},
			{Name: "#0-0", Hash: "7a1f03bb2c9954d0", Size: 256, Nodes: 32, Status: "RUNNING", Errors: "MISMATCH", First: -1,
				Operations: []fleet.RASOperation{{Name: "AllReduce", Most: 8812, Behind: 1, Ranks: 256}, {Name: "Broadcast", Most: 2, Ranks: 256}}},
			{Name: "#1", Alike: 8, Size: 32, Nodes: 32, Status: "RUNNING", First: -1},
		},
		Lagging: []fleet.RASRank{
			{Rank: 131, CommRank: 131, Node: "gpu017", Host: "10.4.0.17", PID: 41238, GPU: 3, Comm: "#0-0", Size: 256, Operation: "AllReduce", Launched: 8811, Most: 8812, Behind: 1, Of: 256,
				Since: noon.Add(-72 * time.Second)},
			{Rank: -1, CommRank: 4, Host: "10.4.0.99", PID: 30, GPU: -1, Comm: "#0-0", Size: 256, Operation: "Broadcast", Launched: 1, Most: 2, Behind: 2, Of: 256, Since: noon.Add(-12 * time.Second)},
		}}
}

func rasDead() *fleet.RAS {
	return &fleet.RAS{NCCL: "2.29.7", Form: "json", CommsTotal: 1, StillSince: noon.Add(-42 * time.Second),
		Comms: []fleet.RASComm{{Hash: "b62a", Alike: 1, Size: 256, Nodes: 32, Status: "RUNNING", Errors: "INCOMPLETE", Missing: 2, First: 0,
			Operations: []fleet.RASOperation{{Name: "AllReduce", Most: 8812, Ranks: 254}}}},
		Gone: []fleet.RASRank{
			{Rank: 131, CommRank: 131, Node: "gpu017", GPU: 3, State: "dead", Since: noon.Add(-72 * time.Second)},
			{Rank: 130, CommRank: 130, Node: "gpu017", GPU: 2, State: "unresponsive", Since: noon.Add(-12 * time.Second)},
		}}
}

func rasWell() *fleet.RAS {
	return &fleet.RAS{NCCL: "2.29.7", Form: "json", CommsTotal: 65,
		Comms: []fleet.RASComm{
			{Hash: "b62a", Alike: 1, Size: 256, Nodes: 32, Status: "RUNNING", First: 0, Operations: []fleet.RASOperation{{Name: "AllReduce", Most: 8812, Ranks: 256}}},
			{Alike: 64, Size: 8, Nodes: 1, Status: "RUNNING", First: -1},
		}}
}

// TestRASGoldens holds what NCCL says of a job on its page.
func TestRASGoldens(t *testing.T) {
	for name, r := range map[string]func() *fleet.RAS{
		"lag": rasLag, "dead": rasDead, "well": rasWell,
		"none": func() *fleet.RAS {
			return &fleet.RAS{Error: "nothing listens on port 28028 where the job runs", Remedy: "NCCL offers it from 2.24.3 on, once its first communicator is there", Absent: true}
		},
	} {
		for _, size := range []struct {
			name string
			w, h int
		}{{"80x24", 80, 24}, {"200x60", 200, 60}} {
			t.Run(name+"/"+size.name, func(t *testing.T) {
				d := drive(withRAS(r()), size.w, size.h, Options{})
				d.keys("enter", "tab", "tab", "tab") // to the section
				d.must(t)
				golden(t, filepath.Join("ras", name+"-"+size.name), trim(d.text()))
			})
		}
	}
}

// TestRASInWords holds that it is told without colours and without anything but ASCII, and what of it stands among what is wrong.
func TestRASInWords(t *testing.T) {
	for _, c := range []struct {
		r    *fleet.RAS
		want []string
	}{
		{rasLag(), []string{"NCCL RAS: rank 131 lags in AllReduce #8812", "! rank 131 lags in AllReduce #8812 on gpu017 GPU3", "the same for 60s", "255 of 255 others are further, up to #8812", "pid 30 on 10.4.0.99 lags in Broadcast #2"}},
		{rasDead(), []string{"NCCL RAS: rank 131 is dead", "X rank 131 is dead on gpu017 GPU3", "X rank 130 does not answer", "no rank has launched a collective for 30s", "1 communicator from rank 0 of 256 ranks on 32 nodes: running, incomplete, 2 ranks not heard, up to AllReduce #8812 (b62a)"}},
		{rasWell(), []string{"every rank answers, and none lags", "64 communicators of 8 ranks on 1 node: running"}},
		{&fleet.RAS{Error: "it is no NCCL RAS", Remedy: "what to do"}, []string{"not checked: it is no NCCL RAS", "what to do"}},
	} {
		d := drive(withRAS(c.r), 200, 60, Options{Profile: colorprofile.ASCII, ASCII: true})
		d.keys("enter")
		got := d.text()
		if strings.ContainsFunc(got, func(r rune) bool { return r > 0x7e }) {
			t.Errorf("not only ASCII:\n%s", got)
		}
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
	}
}

// TestNoRAS is of jobs that are not asked: nothing is drawn, but where their NCCL is too old.
func TestNoRAS(t *testing.T) {
	s := hang()
	d := drive(s, 120, 40, Options{})
	d.keys("enter")
	if strings.Contains(d.text(), "RAS") {
		t.Errorf("it was not asked:\n%s", d.text())
	}
	s = hang()
	s.Jobs[0].Libraries = []fleet.Library{{Name: "nccl", Version: "2.21.5", Ranks: 256}}
	d = drive(s, 200, 60, Options{})
	d.keys("enter")
	if want := "not checked: its NCCL 2.21.5 does not offer it: from 2.24.3 on it does"; !strings.Contains(d.text(), want) {
		t.Errorf("no %q in\n%s", want, d.text())
	}
}
