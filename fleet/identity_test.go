package fleet

import (
	"strings"
	"testing"

	"foretop/schedulers"

	"github.com/google/go-cmp/cmp"
)

// TestWhichNodeANodeIs holds every way in which a node of the fleet is, or is not, one of a scheduler's.
func TestWhichNodeANodeIs(t *testing.T) {
	type node = schedulers.Node
	type want struct {
		node  string // "" none
		proof Proof
		why   string // part of it
	}
	reached := func(name, host string) whoIs { return whoIs{name: name, told: true, host: host} }
	for _, c := range []struct {
		name  string
		nodes []node
		ids   []whoIs
		want  []want
	}{
		{"its host name", []node{{Name: "gpu001", Hostname: "gpu001"}}, []whoIs{reached("my-alias", "gpu001")}, []want{{"gpu001", ProofHost, ""}}},
		{"a NodeName that is no host name", []node{{Name: "n1", Hostname: "gpu001"}, {Name: "gpu001", Hostname: "gpu777"}}, []whoIs{reached("gpu001", "gpu001.bay.example")},
			[]want{{"", 0, "2 nodes with its host name"}}},
		{"host name in NodeAddr", []node{{Name: "n1", Addresses: []string{"10.0.0.1", "GPU001.bay.example"}}}, []whoIs{reached("x", "gpu001.bay.example")}, []want{{"n1", ProofHost, ""}}},
		{"without its domain", []node{{Name: "gpu001"}}, []whoIs{reached("x", "gpu001.bay.example")}, []want{{"gpu001", ProofShort, ""}}},
		{"with a domain that it does not say", []node{{Name: "gpu001.bay.example"}}, []whoIs{reached("x", "gpu001")}, []want{{"gpu001.bay.example", ProofShort, ""}}},
		{"another domain", []node{{Name: "gpu001.lab.example"}}, []whoIs{reached("x", "gpu001.bay.example")}, []want{{}}},
		{"one of two domains", []node{{Name: "a", Hostname: "gpu001.lab.example"}, {Name: "b", Hostname: "gpu001.bay.example"}}, []whoIs{reached("x", "gpu001.bay.example")}, []want{{"b", ProofHost, ""}}},
		{"either of two domains", []node{{Name: "a", Hostname: "gpu001.lab.example"}, {Name: "b", Hostname: "gpu001.bay.example"}}, []whoIs{reached("x", "gpu001")}, []want{{"", 0, "2 nodes with its host name, gpu001: a and b"}}},
		{"not reached, by its name", []node{{Name: "gpu001"}}, []whoIs{{name: "GPU001"}}, []want{{"gpu001", ProofName, "not been reached"}}},
		{"not reached, named by the scheduler itself", []node{{Name: "gpu001"}}, []whoIs{{name: "gpu001", listed: true}}, []want{{"gpu001", ProofListed, ""}}},
		{"not reached, named by another scheduler", []node{{Name: "gpu001.bay"}, {Name: "GPU002"}}, []whoIs{{name: "gpu001", listed: true}, {name: "gpu002", listed: true}},
			[]want{{"gpu001.bay", ProofName, "not been reached"}, {"GPU002", ProofName, "not been reached"}}},
		{"named by the scheduler, and another machine", []node{{Name: "gpu001"}}, []whoIs{{name: "gpu001", listed: true, told: true, host: "login3"}}, []want{{"", 0, "says that it is login3"}}},
		{"not reached, another name", []node{{Name: "gpu001"}}, []whoIs{{name: "login"}}, []want{{}}},
		{"an alias is no host name", []node{{Name: "gpu001"}, {Name: "gpu002"}}, []whoIs{reached("gpu001", "gpu002")}, []want{{"gpu002", ProofHost, ""}}},
		{"the name of another machine", []node{{Name: "gpu001"}}, []whoIs{reached("gpu001", "login3")}, []want{{"", 0, "says that it is login3"}}},
		{"many daemons on one machine", []node{{Name: "n1", Hostname: "localhost", Addresses: []string{"127.0.0.1"}}, {Name: "n2", Hostname: "localhost", Addresses: []string{"127.0.0.1"}}},
			[]whoIs{reached("n1", "box"), reached("n2", "box")}, []want{{"n1", ProofName, "tells no host name"}, {"n2", ProofName, "tells no host name"}}},
		{"a machine id", []node{{Name: "ip-10-0-0-1", MachineID: "m1"}, {Name: "other", MachineID: "m2"}}, []whoIs{{name: "x", told: true, host: "container", machine: "m1"}}, []want{{"ip-10-0-0-1", ProofMachine, ""}}},
		{"a machine id before a host name", []node{{Name: "a", MachineID: "m1"}, {Name: "b", MachineID: "m2"}}, []whoIs{{name: "x", told: true, host: "b", machine: "m1"}}, []want{{"a", ProofMachine, ""}}},
		{"a host name with another machine's id", []node{{Name: "a", MachineID: "m1"}}, []whoIs{{name: "a", told: true, host: "a", machine: "m9"}}, []want{{}}},
		{"copied disks, told apart by boot id", []node{{Name: "a", MachineID: "m", BootID: "b1"}, {Name: "b", MachineID: "m", BootID: "b2"}}, []whoIs{{name: "x", told: true, host: "h", machine: "m", boot: "b2"}},
			[]want{{"b", ProofMachine, ""}}},
		{"copied disks, told apart by host name", []node{{Name: "a", MachineID: "m"}, {Name: "b", MachineID: "m"}}, []whoIs{{name: "x", told: true, host: "b", machine: "m", boot: "?"}}, []want{{"b", ProofHost, ""}}},
		{"copied disks", []node{{Name: "a", MachineID: "m"}, {Name: "b", MachineID: "m"}}, []whoIs{{name: "x", told: true, host: "h", machine: "m"}}, []want{{"", 0, "2 nodes with its machine id"}}},
		{"a boot id alone", []node{{Name: "a", BootID: "b1"}}, []whoIs{{name: "x", told: true, host: "h", boot: "b1"}}, []want{{}}},
		{"two machines of one host name", []node{{Name: "gpu001"}}, []whoIs{{name: "x", told: true, host: "gpu001", machine: "m1", boot: "1"}, {name: "y", told: true, host: "gpu001", machine: "m2", boot: "2"}},
			[]want{{"", 0, "2 nodes here say that they are"}, {"", 0, "x and y"}}},
		{"two containers on one host", []node{{Name: "gpu001"}}, []whoIs{{name: "x", told: true, host: "gpu001", boot: "1"}, {name: "y", told: true, host: "gpu001", boot: "1"}}, []want{{"", 0, "2 nodes here"}, {"", 0, "2 nodes here"}}},
		{"one machine under two names", []node{{Name: "gpu001"}}, []whoIs{{name: "x", told: true, host: "gpu001", machine: "m", boot: "1"}, {name: "y", told: true, host: "gpu001", machine: "m", boot: "1"}},
			[]want{{"gpu001", ProofHost, ""}, {"gpu001", ProofHost, ""}}},
		{"a proof before a name", []node{{Name: "gpu001"}}, []whoIs{{name: "gpu001"}, reached("x", "gpu001")}, []want{{"", 0, "is known to be x"}, {"gpu001", ProofHost, ""}}},
		{"localhost says nothing", []node{{Name: "a"}}, []whoIs{reached("a", "localhost")}, []want{{"a", ProofName, "does not say which host"}}},
		{"nothing known", nil, []whoIs{reached("a", "a"), {name: "b"}}, []want{{}, {}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := joinNodes(&schedulers.Picture{Kind: "slurm", Nodes: c.nodes}, c.ids)
			for i, w := range c.want {
				name := ""
				if got[i].node >= 0 {
					name = c.nodes[got[i].node].Name
				}
				if name != w.node || got[i].proof != w.proof || !strings.Contains(got[i].why, w.why) || w.why == "" && got[i].why != "" {
					t.Errorf("%s is %q by %s (%s), want %q by %s (%s)", c.ids[i].name, name, got[i].proof, got[i].why, w.node, w.proof, w.why)
				}
			}
		})
	}
}

// FuzzJoinNodes holds that no words make it panic, and that no node is proven to be one whose name the node did not say.
func FuzzJoinNodes(f *testing.F) {
	f.Add("a", "a.b", "m", "a", "a.b,10.0.0.1", "m")
	f.Add("", "", "", "", "", "")
	f.Add("localhost", "LOCALHOST.x", "m", "[::1]", ",,", "")
	f.Fuzz(func(t *testing.T, name, host, machine, sname, addresses, smachine string) {
		p := &schedulers.Picture{Kind: "slurm", Nodes: []schedulers.Node{{Name: sname, Hostname: host, Addresses: strings.Split(addresses, ","), MachineID: smachine}, {Name: host, MachineID: machine}}}
		ids := []whoIs{{name: name, told: true, host: host, machine: machine, boot: machine}, {name: sname}, {name: name, told: true, host: sname}}
		got := joinNodes(p, ids)
		again := joinNodes(p, ids)
		if d := cmp.Diff(got, again, cmp.AllowUnexported(joined{})); d != "" {
			t.Fatal(d)
		}
		for i, g := range got {
			if g.proof.Proven() && !ids[i].told {
				t.Fatalf("%d is proven, and was not reached", i)
			}
		}
	})
}
