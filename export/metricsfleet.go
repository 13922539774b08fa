package export

import (
	"strconv"

	"foretop/fleet"
	"foretop/schedulers"
	"foretop/telemetry/facts"
)

func portLabels(p *fleet.Port) string {
	device, port := p.Name, "1"
	if p.Fact != nil {
		device, port = p.Fact.Device, strconv.FormatUint(uint64(p.Fact.Port), 10)
	}
	return labels("device", device, "port", port)
}

// nodeStates are told of every node, however it is reached.
var nodeStates = []family[fleet.Node]{
	{head{"foretop_node_up", gauge, "", "1: it is live."}, "", func(n *fleet.Node) fleet.Reading { return yes(n.State == fleet.Live) }},
	{head{"foretop_node_state_start_timestamp_seconds", gauge, "seconds", "Since when it is in its state."}, "", func(n *fleet.Node) fleet.Reading { return moment(n.Since) }},
	{head{"foretop_node_data_timestamp_seconds", gauge, "seconds", "When its last sample came; not there: none ever did."}, "", func(n *fleet.Node) fleet.Reading { return moment(n.LastData) }},
	{head{"foretop_node_connect_attempts", gauge, "", "How often it was dialled since it was last live."}, "", func(n *fleet.Node) fleet.Reading { return fleet.Reading(n.Attempt) }},
	{head{"foretop_node_gpus", gauge, "", "GPUs that it has; not there: it never said."}, "", func(n *fleet.Node) fleet.Reading {
		if n.Inventory == nil {
			return fleet.None()
		}
		return fleet.Reading(len(n.GPUs))
	}},
	{nodeFindings, `severity="critical"`, findingsOf(fleet.Critical)},
	{nodeFindings, `severity="warning"`, findingsOf(fleet.Warning)},
	{nodeFindings, `severity="notice"`, findingsOf(fleet.Notice)},
}

var nodeFindings = head{"foretop_node_findings", gauge, "", "What is found wrong on it, by severity."}

func findingsOf(s fleet.Severity) func(*fleet.Node) fleet.Reading {
	return func(n *fleet.Node) fleet.Reading {
		count := 0
		for i := range n.Problems {
			if n.Problems[i].Severity == s {
				count++
			}
		}
		return fleet.Reading(count)
	}
}

// collectorFamilies are what watching costs a node.
var collectorFamilies = []family[fleet.Node]{
	{head{"foretop_collector_cpu_ratio", gauge, "ratio", "CPU that foretop's collector takes, of one core."}, "", func(n *fleet.Node) fleet.Reading { return n.Self.CPUPct / 100 }},
	{head{"foretop_collector_resident_memory_bytes", gauge, "bytes", "Memory that the collector holds."}, "", func(n *fleet.Node) fleet.Reading { return n.Self.RSSBytes }},
	{head{"foretop_collector_sent_bytes_per_second", gauge, "bytes_per_second", "What the collector sends over SSH."}, "", func(n *fleet.Node) fleet.Reading { return n.Self.SentBytesPerS }},
}

var sourceFamilies = []family[fleet.Source]{
	{head{"foretop_source_ok", gauge, "", "0: this source of readings is denied, failing or stuck; not there: the node has none of it, or has not said."}, "", func(s *fleet.Source) fleet.Reading {
		switch s.State {
		case facts.SourceState_SOURCE_OK:
			return 1
		case facts.SourceState_SOURCE_UNKNOWN, facts.SourceState_SOURCE_UNSUPPORTED:
			return fleet.None()
		}
		return 0
	}},
	{head{"foretop_source_call_seconds", gauge, "seconds", "Wall time of its last reading."}, "", func(s *fleet.Source) fleet.Reading { return s.CallUS / 1e6 }},
}

// totals are of the whole fleet.
var totals = []family[fleet.Totals]{
	{head{"foretop_gpus", gauge, "", "GPUs of nodes that have said what they have."}, "", func(t *fleet.Totals) fleet.Reading { return fleet.Reading(t.GPUs) }},
	{head{"foretop_gpus_held", gauge, "", "Of these, held by a process."}, "", func(t *fleet.Totals) fleet.Reading { return fleet.Reading(t.GPUsHeld) }},
	{head{"foretop_gpus_idle", gauge, "", "Of these, held and doing nothing."}, "", func(t *fleet.Totals) fleet.Reading { return fleet.Reading(t.GPUsIdle) }},
	{head{"foretop_gpus_bad", gauge, "", "GPUs that are lost, failing or not answering."}, "", func(t *fleet.Totals) fleet.Reading { return fleet.Reading(t.GPUsBad) }},
	{head{"foretop_jobs", gauge, "", "Jobs that run."}, "", func(t *fleet.Totals) fleet.Reading { return fleet.Reading(t.Jobs) }},
	{head{"foretop_jobs_pending", gauge, "", "Jobs that wait for a scheduler."}, "", func(t *fleet.Totals) fleet.Reading { return fleet.Reading(t.Pending) }},
	{findings, `severity="critical"`, func(t *fleet.Totals) fleet.Reading { return fleet.Reading(t.Critical) }},
	{findings, `severity="warning"`, func(t *fleet.Totals) fleet.Reading { return fleet.Reading(t.Warning) }},
	{head{"foretop_findings_out_of_service", gauge, "", "What is found wrong on nodes that somebody took out of service."}, "", func(t *fleet.Totals) fleet.Reading { return fleet.Reading(t.KnownBad) }},
	{head{"foretop_nodes_drained", gauge, "", "Nodes that are drained or draining in their scheduler."}, "", func(t *fleet.Totals) fleet.Reading { return fleet.Reading(t.Drained) }},
	{head{"foretop_nodes_down_in_scheduler", gauge, "", "Nodes that their scheduler calls down or does not hear from."}, "", func(t *fleet.Totals) fleet.Reading { return fleet.Reading(t.Down) }},
	{head{"foretop_nodes_kernel_log_read", gauge, "", "Live nodes whose kernel log can be read; of the others it is not checked."}, "", func(t *fleet.Totals) fleet.Reading { return fleet.Reading(t.KernelLogRead) }},
}

var findings = head{"foretop_findings", gauge, "", "What is found wrong on nodes in service and with jobs, by severity."}

func (p *page) writeFleet(e *exposition) {
	e.metric(head{"foretop_snapshot_timestamp_seconds", gauge, "seconds", "When the picture was taken that this scrape shows."})
	e.sample("", moment(p.at))
	e.metric(head{"foretop_nodes", gauge, "", "Nodes that are watched, by state."})
	for state := range fleet.NumStates {
		e.sample(labels("state", state.String()), fleet.Reading(p.snapshot.Totals.ByState[state]))
	}
	writeFamilies(e, totals, []subject[fleet.Totals]{{&p.snapshot.Totals, ""}})
	e.metric(head{"foretop_node_state", gauge, "", "1 for the state that it is in."})
	for _, n := range p.nodes {
		e.sampleWith(n.labels, labels("state", n.of.State.String()), 1)
	}
	writeFamilies(e, nodeStates, p.nodes)
	e.metric(head{"foretop_node_scheduler_condition", gauge, "", "1 for what it is to its scheduler."})
	for _, n := range p.nodes {
		for i := range n.of.Scheduled {
			if s := &n.of.Scheduled[i]; s.Node != nil && s.Node.Condition != schedulers.Unknown {
				e.sampleWith(n.labels, labels("scheduler", s.Kind, "cluster", s.Cluster, "condition", s.Node.Condition.String()), 1)
			}
		}
	}
	writeFamilies(e, collectorFamilies, p.live)
	writeFamilies(e, sourceFamilies, parts(p, "source", maxSources, func(n *fleet.Node) []fleet.Source { return n.Sources }, nil,
		func(s *fleet.Source) string { return labels("source", s.Name) }))
	e.metric(head{"foretop_scheduler_up", gauge, "", "0: it does not answer."})
	for i := range p.snapshot.Schedulers {
		s := &p.snapshot.Schedulers[i]
		e.sample(labels("scheduler", s.Kind, "cluster", s.Cluster), yes(s.Problem == nil))
	}
}

// jobFamilies are of a job that runs.
var jobFamilies = []family[fleet.Job]{
	{head{"foretop_job_ranks", gauge, "", "Ranks of it that are seen."}, "", func(j *fleet.Job) fleet.Reading { return fleet.Reading(len(j.Ranks)) }},
	{head{"foretop_job_world_size", gauge, "", "Ranks that it should have; not there: not known."}, "", func(j *fleet.Job) fleet.Reading { return positive(j.World) }},
	{head{"foretop_job_ranks_missing", gauge, "", "Ranks that should be there and are not seen."}, "", func(j *fleet.Job) fleet.Reading { return fleet.Reading(j.MissingN) }},
	{head{"foretop_job_nodes", gauge, "", "Watched nodes that it runs on."}, "", func(j *fleet.Job) fleet.Reading { return fleet.Reading(len(j.Nodes)) }},
	{head{"foretop_job_gpus", gauge, "", "GPUs that it holds."}, "", func(j *fleet.Job) fleet.Reading { return fleet.Reading(len(j.GPUs)) }},
	{head{"foretop_job_gpus_idle", gauge, "", "Of these, doing nothing."}, "", func(j *fleet.Job) fleet.Reading { return fleet.Reading(j.IdleGPUs) }},
	{head{"foretop_job_severity", gauge, "", "Of the worst that is found with it: 0 nothing, 1 notice, 2 warning, 3 critical."}, "", func(j *fleet.Job) fleet.Reading { return fleet.Reading(j.Severity) }},
	{head{"foretop_job_findings", gauge, "", "How much is found with it."}, "", func(j *fleet.Job) fleet.Reading { return fleet.Reading(len(j.Findings)) }},
	{head{"foretop_job_restarts", gauge, "", "How often it was started again."}, "", func(j *fleet.Job) fleet.Reading { return fleet.Reading(j.Restarts) }},
	{head{"foretop_job_start_timestamp_seconds", gauge, "seconds", "Since when it runs."}, "", func(j *fleet.Job) fleet.Reading { return moment(j.Start) }},
	{head{"foretop_job_power_ratio", gauge, "ratio", "Power as a share of the limit, mean over its GPUs."}, "", func(j *fleet.Job) fleet.Reading { return j.PowerPct / 100 }},
	{head{"foretop_job_utilization_ratio", gauge, "ratio", "GPU utilization, mean over its GPUs."}, "", func(j *fleet.Job) fleet.Reading { return j.UtilPct / 100 }},
	{head{"foretop_job_tensor_active_ratio", gauge, "ratio", "Tensor pipe activity, mean over its GPUs."}, "", func(j *fleet.Job) fleet.Reading { return j.TensorPct / 100 }},
	{head{"foretop_job_memory_used_bytes", gauge, "bytes", "GPU memory used, of all its GPUs."}, "", func(j *fleet.Job) fleet.Reading { return j.MemUsedBytes }},
	{head{"foretop_job_network_bytes_per_second", gauge, "bytes_per_second", "RDMA traffic of its GPUs, both ways."}, "", func(j *fleet.Job) fleet.Reading { return j.NetBytesPerS }},
}

func positive(n int) fleet.Reading {
	if n <= 0 {
		return fleet.None()
	}
	return fleet.Reading(n)
}

func (p *page) writeJobs(e *exposition) {
	var jobs []subject[fleet.Job]
	var once unique
	for _, j := range p.snapshot.Jobs {
		if !j.Ended.IsZero() {
			continue
		}
		l := labels("job_key", j.Key)
		if len(jobs) == maxJobs || !once.first(l) {
			p.left["job"]++
			continue
		}
		jobs = append(jobs, subject[fleet.Job]{j, l})
	}
	e.metric(head{"foretop_job_info", info, "", "Who and what it is."})
	for _, j := range jobs {
		o := j.of
		e.sampleWith(j.labels, labels("job_id", o.ID, "name", o.Name, "user", o.User, "framework", o.Framework, "scheduler", o.Scheduler, "partition", o.Partition, "account", o.Account), 1)
	}
	e.metric(head{"foretop_job_state", gauge, "", "1 for the state that it is in."})
	for _, j := range jobs {
		e.sampleWith(j.labels, labels("state", string(jobState(j.of.State))), 1)
	}
	writeFamilies(e, jobFamilies, jobs)
}
