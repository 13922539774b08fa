package slurm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"foretop/schedulers"
)

const benchNodes, benchJobs = 5000, 20000

// record is one recorded record of 26.05, with numbers of its own.
func record(b *testing.B, kind string) map[string]any {
	b.Helper()
	data, err := os.ReadFile("../../testdata/slurm/" + kind + ".26.05.json")
	if err != nil {
		b.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		b.Fatal(err)
	}
	return all[kind].([]any)[0].(map[string]any)
}

func jsonJobs(b *testing.B, n int) []byte {
	r := record(b, "jobs")
	var out bytes.Buffer
	out.WriteString(`{"jobs":[`)
	for i := range n {
		first := 2*i%benchNodes + 1
		r["job_id"], r["name"], r["nodes"] = 1000+i, fmt.Sprintf("train-%d", i%500), fmt.Sprintf("gpu[%05d-%05d]", first, first+1)
		r["user_name"] = fmt.Sprintf("user%d", i%300)
		if i%4 == 3 {
			r["job_state"], r["nodes"], r["job_resources"], r["gres_detail"] = []string{"PENDING"}, "", nil, nil
		}
		line, err := json.Marshal(r)
		if err != nil {
			b.Fatal(err)
		}
		if r["job_resources"] == nil {
			r = record(b, "jobs")
		}
		out.Write(line)
		out.WriteByte(",]"[i/(n-1)])
	}
	out.WriteString(`,"errors":[]}`)
	return out.Bytes()
}

func jsonNodes(b *testing.B, n int) []byte {
	r := record(b, "nodes")
	var out bytes.Buffer
	out.WriteString(`{"nodes":[`)
	for i := range n {
		name := fmt.Sprintf("gpu%05d", i+1)
		r["name"], r["hostname"], r["address"] = name, name, name+"-ib"
		line, err := json.Marshal(r)
		if err != nil {
			b.Fatal(err)
		}
		out.Write(line)
		out.WriteByte(",]"[i/(n-1)])
	}
	out.WriteString("}")
	return out.Bytes()
}

func textJobs(n int) []byte {
	records := make([]map[string]string, n)
	for i := range records {
		first := 2*i%benchNodes + 1
		id := fmt.Sprint(1000 + i)
		records[i] = map[string]string{"JobArrayID": id, "JobID": id, "Name": fmt.Sprintf("train-%d", i%500), "UserName": fmt.Sprintf("user%d", i%300), "Account": "nlp", "Partition": "train",
			"QOS": "normal", "State": "RUNNING", "Reason": "None", "NodeList": fmt.Sprintf("gpu[%05d-%05d]", first, first+1), "NumNodes": "2", "NumTasks": "16", "BatchFlag": "1",
			"BatchHost": fmt.Sprintf("gpu%05d", first), "RestartCnt": "0", "SubmitTime": "1790000000", "StartTime": "1790000060", "EndTime": "1790086460", "TimeLimit": "1-00:00:00",
			"tres-alloc": "cpu=32,mem=128G,node=2,billing=32,gres/gpu=8", "tres-per-node": "gres/gpu:4", "tres-per-job": "N/A", "tres-per-task": "N/A", "exit_code": "0",
			"Command": "/home/user/run/train.sh", "WorkDir": "/home/user/run", "STDOUT": "/home/user/run/slurm-" + id + ".out", "Dependency": "(null)"}
	}
	return asSqueue("abcdefghij", records...)
}

func textNodes(n int) []byte {
	line, _, _ := strings.Cut(scontrolNodes, "\n")
	var out strings.Builder
	for i := range n {
		out.WriteString(strings.ReplaceAll(line, "node007", fmt.Sprintf("gpu%05d", i+1)) + "\n")
	}
	return []byte(out.String())
}

// cpu is what this process has used, in ms: on a busy machine it tells more than the clock.
func cpu(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}

// A cluster of 5,000 nodes and 20,000 jobs, read once. held is what stays in memory of it.
func BenchmarkParse(b *testing.B) {
	parse := func(b *testing.B, jobs, nodes []byte, read func(*builder) []schedulers.Node) {
		b.SetBytes(int64(len(jobs) + len(nodes)))
		b.ReportAllocs()
		var p schedulers.Picture
		before := cpu(b)
		for b.Loop() {
			build := newBuilder()
			p.Nodes = read(build)
			p.Jobs = build.sorted()
			wholeNodes(p.Jobs, p.Nodes)
			if len(p.Nodes) != benchNodes || len(p.Jobs) != benchJobs {
				b.Fatalf("%d nodes, %d jobs", len(p.Nodes), len(p.Jobs))
			}
		}
		b.StopTimer()
		b.ReportMetric((cpu(b)-before)/float64(b.N), "cpu-ms/op")
		heap := func() float64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return float64(m.HeapAlloc)
		}
		with := heap()
		runtime.KeepAlive(p)
		p = schedulers.Picture{}
		b.ReportMetric((with-heap())/1e6, "MB-held")
		b.ReportMetric(float64(len(jobs)+len(nodes))/1e6, "MB-read")
	}
	b.Run("json", func(b *testing.B) {
		jobs, nodes := jsonJobs(b, benchJobs), jsonNodes(b, benchNodes)
		parse(b, jobs, nodes, func(build *builder) (out []schedulers.Node) {
			if _, err := decode(jobs, "jobs", func(j *jobJSON) bool { r := j.record(); build.add(&r); return true }); err != nil {
				b.Fatal(err)
			}
			if _, err := decode(nodes, "nodes", func(r *nodeJSON) bool { n, _ := build.node(r); out = append(out, n); return true }); err != nil {
				b.Fatal(err)
			}
			return out
		})
	})
	b.Run("text", func(b *testing.B) {
		jobs, nodes := textJobs(benchJobs), textNodes(benchNodes)
		parse(b, jobs, nodes, func(build *builder) (out []schedulers.Node) {
			if err := parseSqueue(jobs, fieldCount(version{22, 5}), "abcdefghij", build.add); err != nil {
				b.Fatal(err)
			}
			if err := parseScontrolNodes(nodes, func(r *nodeJSON) { n, _ := build.node(r); out = append(out, n) }); err != nil {
				b.Fatal(err)
			}
			return out
		})
	})
}
