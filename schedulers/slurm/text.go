package slurm

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// squeueFields are what squeue -O is asked for where there is no JSON, and where a job's record takes it; all versions since 20.11 know them, but for SLUID.
// GPUs' indices are not among what it can tell.
var squeueFields = []struct {
	name string
	put  func(*jobRecord, string)
}{
	{"JobArrayID", (*jobRecord).putID},
	{"JobID", func(r *jobRecord, s string) { r.id = digits(s) }},
	{"Name", func(r *jobRecord, s string) { r.name = s }},
	{"UserName", func(r *jobRecord, s string) { r.user = s }},
	{"Account", func(r *jobRecord, s string) { r.account = s }},
	{"Partition", func(r *jobRecord, s string) { r.partition = s }},
	{"QOS", func(r *jobRecord, s string) { r.qos = s }},
	{"State", func(r *jobRecord, s string) { r.state = []string{s} }},
	{"Reason", func(r *jobRecord, s string) { r.reason = s }},
	{"NodeList", func(r *jobRecord, s string) { r.nodes = s }},
	{"NumNodes", func(r *jobRecord, s string) { first, _, _ := strings.Cut(s, "-"); r.nodeN = digits(first) }},
	{"NumTasks", func(r *jobRecord, s string) { r.taskN = digits(s) }},
	{"BatchFlag", func(r *jobRecord, s string) { r.batch = s == "1" }},
	{"BatchHost", func(r *jobRecord, s string) { r.host = nothing(s) }},
	{"RestartCnt", func(r *jobRecord, s string) { r.restarts = digits(s) }},
	{"SubmitTime", func(r *jobRecord, s string) { r.submit = digits(s) }},
	{"StartTime", func(r *jobRecord, s string) { r.start = digits(s) }},
	{"EndTime", func(r *jobRecord, s string) { r.end = digits(s) }},
	{"TimeLimit", func(r *jobRecord, s string) { r.limit = seconds(s) }},
	{"tres-alloc", func(r *jobRecord, s string) { r.alloc = s }},
	{"tres-per-job", func(r *jobRecord, s string) { r.perJob = s }},
	{"tres-per-node", func(r *jobRecord, s string) { r.perNode = s }},
	{"tres-per-task", func(r *jobRecord, s string) { r.perTask = s }},
	{"exit_code", func(r *jobRecord, s string) { r.exit = parseExit(s) }},
	{"Command", func(r *jobRecord, s string) { r.command = s }},
	{"WorkDir", func(r *jobRecord, s string) { r.dir = nothing(s) }},
	{"STDOUT", func(r *jobRecord, s string) { r.stdout = s }},
	{"Dependency", func(r *jobRecord, s string) { r.dependency = s }},
	{"SLUID", func(r *jobRecord, s string) { r.sluid = s }},
}

// fieldCount is how many of them a version knows.
func fieldCount(v version) int {
	if v.before(25, 11) {
		return len(squeueFields) - 1
	}
	return len(squeueFields)
}

// squeueFormat is the format that puts a mark behind each of the first n fields, and another behind the last. Names of jobs and folders may hold anything, line
// ends too; a mark is made anew for each question, so none can hold it.
func squeueFormat(n int, mark string) string {
	var out strings.Builder
	for i, f := range squeueFields[:n] {
		if i > 0 {
			out.WriteByte(',')
		}
		end := "@" + mark + "@"
		if i == n-1 {
			end = "@" + mark + "/"
		}
		out.WriteString(f.name + ":" + end)
	}
	return out.String()
}

var errNoText = errors.New("it is not what squeue was asked for")

// parseSqueue reads what squeue printed by squeueFormat and gives each record to use.
func parseSqueue(data []byte, n int, mark string, use func(*jobRecord)) error {
	end, between := []byte("@"+mark+"/"), "@"+mark+"@"
	for len(bytes.TrimSpace(data)) > 0 {
		record, rest, ok := bytes.Cut(data, end)
		if !ok {
			return fmt.Errorf("read jobs: %w: %s", errNoText, quoted(string(data[:min(len(data), 80)])))
		}
		data = rest
		fields := strings.Split(strings.TrimPrefix(string(record), "\n"), between)
		if len(fields) != n {
			return fmt.Errorf("read jobs: %w: %d fields, not %d", errNoText, len(fields), n)
		}
		r := jobRecord{task: -1, limit: -1}
		for i, f := range fields {
			squeueFields[i].put(&r, f)
		}
		use(&r)
	}
	return nil
}

// putID reads squeue's %i: "8123", "8123_4", "8123_[5-9%2]", "8123+1".
func (r *jobRecord) putID(s string) {
	if array, task, ok := strings.Cut(s, "_"); ok {
		r.arrayID = digits(array)
		if n, err := strconv.ParseInt(task, 10, 64); err == nil && n >= 0 {
			r.task = n
		} else {
			r.tasks = strings.TrimSuffix(strings.TrimPrefix(task, "["), "]")
		}
	} else if het, offset, ok := strings.Cut(s, "+"); ok {
		r.hetID, r.hetOffset = digits(het), digits(offset)
	}
}

// digits is a number that is not negative; 0 of what is none.
func digits(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// seconds reads a time limit: "30:00", "1:00:00", "7-00:00:00"; -1 of "UNLIMITED" and what is none.
func seconds(s string) int64 {
	days, clock, ok := strings.Cut(s, "-")
	if !ok {
		days, clock = "0", s
	}
	d, err := strconv.ParseInt(days, 10, 32)
	if err != nil || d < 0 {
		return -1
	}
	total := int64(0)
	parts := strings.Split(clock, ":")
	if len(parts) > 3 || len(parts) < 2 {
		return -1
	}
	for _, p := range parts {
		n, err := strconv.ParseInt(p, 10, 32)
		if err != nil || n < 0 {
			return -1
		}
		total = total*60 + n
	}
	return total + d*86400
}

// parseExit reads a wait status ("256"), or code and signal ("1:0").
func parseExit(s string) exitCode {
	if code, signal, ok := strings.Cut(s, ":"); ok {
		return exitCode{digits(code), digits(signal)}
	}
	return waitStatus(digits(s))
}

// nodeKeys are what scontrol show node may print, in all versions; a value ends where the next of them begins.
var nodeKeys = func() map[string]bool {
	keys := map[string]bool{}
	for k := range strings.FieldsSeq(`NodeName Arch CoresPerSocket CPUAlloc CPUEfctv CPUTot CPULoad AvailableFeatures ActiveFeatures Gres GresDrain GresUsed NodeAddr
		NodeHostName Port Version BcastAddr OS RealMemory AllocMem FreeMem Sockets Boards CoreSpecCount CPUSpecList MemSpecLimit State ThreadsPerCore TmpDisk Weight
		Owner MCS_label NextState Partitions BootTime SlurmdStartTime LastBusyTime ResumeAfterTime CfgTRES AllocTRES CapWatts CurrentWatts LowestJoules
		ConsumedJoules AveWatts ExtSensorsJoules ExtSensorsWatts ExtSensorsTemp Reason Comment Extra InstanceId InstanceType ReservationName Topology
		ResCoresPerGPU GPUSpec CertFlags TLSCertLastRenewal Hidden`) {
		keys[k] = true
	}
	return keys
}()

// parseScontrolNodes reads scontrol -o show node, a line a node. The first value of a key counts, and the first line of a name: what comes later may be the
// text of a comment.
func parseScontrolNodes(data []byte, use func(*nodeJSON)) error {
	found, seen := false, map[text]bool{}
	for line := range bytes.Lines(data) {
		if !bytes.HasPrefix(line, []byte("NodeName=")) {
			continue // the rest of a comment with a line end in it
		}
		found = true
		r := nodeOf(keyValues(strings.TrimSpace(string(line))))
		if !seen[r.Name] {
			seen[r.Name] = true
			use(r)
		}
	}
	if !found && len(bytes.TrimSpace(data)) > 0 && !bytes.Contains(data, []byte("No nodes in the system")) {
		return fmt.Errorf("read nodes: it is not what scontrol was asked for: %s", quoted(string(data[:min(len(data), 80)])))
	}
	return nil
}

func keyValues(line string) map[string]string {
	out := map[string]string{}
	key, start := "", 0
	keep := func(end int) {
		if _, twice := out[key]; key != "" && !twice {
			out[key] = strings.TrimSpace(line[start:end])
		}
	}
	for i := 0; i < len(line); {
		space := strings.IndexByte(line[i:], ' ')
		end := len(line)
		if space >= 0 {
			end = i + space
		}
		if k, _, ok := strings.Cut(line[i:end], "="); ok && nodeKeys[k] {
			keep(i)
			key, start = k, i+len(k)+1
			// An operating system may be called anything, words with "=" too; these follow it.
			if last := strings.LastIndex(line, " RealMemory="); k == "OS" && last > i {
				end = last
			}
		}
		i = end + 1
	}
	keep(len(line))
	return out
}

func nodeOf(v map[string]string) *nodeJSON {
	r := &nodeJSON{
		Name: text(v["NodeName"]), Hostname: text(v["NodeHostName"]), Address: text(v["NodeAddr"]), State: words{v["State"]},
		GRES: text(v["Gres"]), GRESUsed: text(v["GresUsed"]), TRESUsed: text(v["AllocTRES"]), Topology: text(v["Topology"]), Reserved: text(v["ReservationName"]),
	}
	for p := range strings.SplitSeq(v["Partitions"], ",") {
		if p = strings.TrimSpace(p); p != "" {
			r.Partitions = append(r.Partitions, p)
		}
	}
	r.Boot = number64(v["BootTime"])
	// "bad link [root@1795696249]"
	reason := v["Reason"]
	if open := strings.LastIndexByte(reason, '['); open >= 0 && strings.HasSuffix(reason, "]") {
		if who, at, ok := strings.Cut(reason[open+1:len(reason)-1], "@"); ok {
			reason, r.ReasonBy, r.ReasonAt = strings.TrimSpace(reason[:open]), text(who), number64(at)
		}
	}
	r.Reason = text(reason)
	return r
}

func number64(s string) num {
	n, err := strconv.ParseInt(s, 10, 64)
	return num{n: n, set: err == nil}
}
