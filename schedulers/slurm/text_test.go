package slurm

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"foretop/schedulers"
)

// asSqueue is what squeue prints of records when it is asked by squeueFormat.
func asSqueue(mark string, records ...map[string]string) []byte {
	var out strings.Builder
	n := fieldCount(version{22, 5})
	for _, r := range records {
		for i, f := range squeueFields[:n] {
			out.WriteString(r[f.name] + "@" + mark + map[bool]string{true: "/\n", false: "@"}[i == n-1])
		}
	}
	return []byte(out.String())
}

func TestParseSqueue(t *testing.T) {
	common := func(more map[string]string) map[string]string {
		r := map[string]string{"UserName": "ann", "Account": "(null)", "Partition": "train", "QOS": "(null)", "Reason": "None", "NumNodes": "1", "NumTasks": "1", "BatchFlag": "1",
			"RestartCnt": "0", "SubmitTime": "1790000000", "StartTime": "1790000060", "EndTime": "1790001860", "TimeLimit": "30:00", "tres-alloc": "cpu=1,node=1,billing=1",
			"tres-per-node": "N/A", "tres-per-job": "N/A", "tres-per-task": "N/A", "exit_code": "0", "Command": "(null)", "WorkDir": "/home/ann", "Dependency": "(null)", "State": "RUNNING"}
		for k, v := range more {
			r[k] = v
		}
		return r
	}
	out := asSqueue("mark", common(map[string]string{"JobArrayID": "12_3", "JobID": "15", "Name": "a@b,c|d\n@x/", "NodeList": "gpu[001-002]", "NumNodes": "2", "BatchHost": "gpu001",
		"tres-per-node": "gres:gpu:h100:4", "STDOUT": "/home/ann/%x-%A_%a"}),
		common(map[string]string{"JobArrayID": "12_[4-9%2]", "JobID": "12", "State": "PENDING", "Reason": "JobArrayTaskLimit", "StartTime": "N/A", "EndTime": "N/A", "tres-per-job": "gres:gpu:3"}),
		common(map[string]string{"JobArrayID": "20+1", "JobID": "21", "NodeList": "gpu003", "TimeLimit": "UNLIMITED", "EndTime": "1821536060", "BatchHost": "gpu003", "STDOUT": "slurm-%j.out", "SubmitTime": "1790000000"}),
		common(map[string]string{"JobArrayID": "30", "JobID": "30", "State": "FAILED", "exit_code": "768", "NodeList": "gpu003", "Reason": "NonZeroExitCode", "NumNodes": "1-1"}))
	b := newBuilder()
	if err := parseSqueue(out, fieldCount(version{22, 5}), "mark", b.add); err != nil {
		t.Fatal(err)
	}
	base := schedulers.Job{User: "ann", Partition: "train", SubmitAt: at(0), NodesN: 1, Tasks: 1, WorkDir: "/home/ann"}
	job := func(id string, f func(*schedulers.Job)) schedulers.Job {
		j := base
		j.Key, j.ID = "slurm/"+id, id
		f(&j)
		return j
	}
	want := []schedulers.Job{
		job("12", func(j *schedulers.Job) {
			j.ID, j.Phase, j.State, j.Reason, j.GPUs = "12_[4-9%2]", schedulers.Pending, "PENDING", "JobArrayTaskLimit", 3
		}),
		job("15", func(j *schedulers.Job) {
			j.ID, j.Name, j.Phase, j.State, j.StartAt, j.LimitAt = "12_3", "a@b,c|d @x/", schedulers.Running, "RUNNING", at(60), at(1860)
			j.Nodes, j.NodesN, j.GPUs, j.LogFile = []string{"gpu001", "gpu002"}, 2, 8, "/home/ann/a@b,c|d @x/-12_3"
		}),
		job("21", func(j *schedulers.Job) {
			j.ID, j.Phase, j.State, j.StartAt, j.Nodes, j.LogFile = "20+1", schedulers.Running, "RUNNING", at(60), []string{"gpu003"}, "/home/ann/slurm-21.out"
		}),
		job("30", func(j *schedulers.Job) {
			j.Phase, j.State, j.Reason, j.StartAt, j.EndAt, j.ExitCode = schedulers.Ended, "FAILED", "NonZeroExitCode", at(60), at(1860), "3:0"
			j.Nodes, j.LogFile = []string{"gpu003"}, "/home/ann/slurm-30.out"
		}),
	}
	if diff := cmp.Diff(want, b.sorted()); diff != "" {
		t.Error(diff)
	}
}

func TestParseSqueueRefuses(t *testing.T) {
	for _, out := range []string{"slurm_load_jobs error", "a@mark/", strings.Repeat("a@mark@", 27) + "a@mark/ rest", strings.Repeat("x@other@", 30)} {
		if err := parseSqueue([]byte(out), 28, "mark", func(*jobRecord) {}); !errors.Is(err, errNoText) {
			t.Errorf("%q: %v", out, err)
		}
	}
	if err := parseSqueue([]byte(" \n"), 28, "mark", func(*jobRecord) { t.Error("a record of nothing") }); err != nil {
		t.Error(err)
	}
}

func TestTimeLimits(t *testing.T) {
	for s, want := range map[string]int64{"30:00": 1800, "0:05": 5, "1:00:00": 3600, "7-00:00:00": 7 * 86400, "1-02:03:04": 93784, "UNLIMITED": -1, "NOT_SET": -1, "Partition_Limit": -1, "": -1, "5": -1, "1:2:3:4": -1, "-1:00": -1} {
		if got := seconds(s); got != want {
			t.Errorf("%s: %d, want %d", s, got, want)
		}
	}
}

const scontrolNodes = `NodeName=node007 Arch=x86_64 CoresPerSocket=1  CPUAlloc=0 CPUEfctv=16 CPUTot=16 CPULoad=6.23 AvailableFeatures=(null) ActiveFeatures=(null) Gres=gpu:h100:8 GresDrain=N/A GresUsed=gpu:h100:3(IDX:0-2) NodeAddr=10.0.0.7 NodeHostName=node007 Port=17007 Version=22.05.8 OS=Linux 6.1 #1 SMP State=DOWN x=y  RealMemory=1000 AllocMem=0 FreeMem=23047 Sockets=16 Boards=1 State=IDLE+DRAIN ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A Partitions=train,debug  BootTime=1790000000 SlurmdStartTime=1790000001 LastBusyTime=1790000002 CfgTRES=cpu=16,mem=1000M,billing=16 AllocTRES= CapWatts=n/a Reason=bad link, ask | bob [x] a=b [root@1790000100] Comment=two
lines
NodeName=node001 Gres=(null) NodeAddr=node001 NodeHostName=node001 State=IDLE* Partitions= BootTime=None Reason=Not responding
NodeName=node007 State=IDLE
`

func TestParseScontrolNodes(t *testing.T) {
	var got []schedulers.Node
	b := newBuilder()
	err := parseScontrolNodes([]byte(scontrolNodes), func(r *nodeJSON) {
		n, ok := b.node(r)
		if !ok {
			t.Error("a node without a name")
		}
		got = append(got, n)
	})
	want := []schedulers.Node{
		{Name: "node007", Hostname: "node007", Addresses: []string{"node007", "10.0.0.7"}, Partitions: []string{"train", "debug"}, Condition: schedulers.Drained, State: "IDLE+DRAIN",
			Flags: []string{"IDLE", "DRAIN"}, Reason: "bad link, ask | bob [x] a=b", ReasonBy: "root", ReasonAt: at(100), GPUs: 8, GPUsUsed: 3, GPUModel: "h100", BootAt: at(0)},
		{Name: "node001", Hostname: "node001", Addresses: []string{"node001"}, Condition: schedulers.Usable, State: "IDLE", Flags: []string{"IDLE"}, Reason: "Not responding"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if err := parseScontrolNodes([]byte("No nodes in the system\n"), nil); err != nil {
		t.Error(err)
	}
	if err := parseScontrolNodes([]byte("Segmentation fault\n"), nil); err == nil {
		t.Error("no error")
	}
}

func FuzzText(f *testing.F) {
	f.Add(asSqueue("m", map[string]string{"JobArrayID": "1_[2-3]", "JobID": "1", "NodeList": "a[1-2]", "tres-alloc": "gres/gpu=2"}))
	f.Add([]byte(scontrolNodes))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := newBuilder()
		_ = parseSqueue(data, fieldCount(version{22, 5}), "m", b.add)
		var nodes []schedulers.Node
		_ = parseScontrolNodes(data, func(r *nodeJSON) {
			if n, ok := b.node(r); ok {
				nodes = append(nodes, n)
			}
		})
		wholeNodes(b.sorted(), nodes)
		check(t, b.sorted(), nodes)
	})
}
