package kubernetes

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// pod is what is kept of one.
type pod struct {
	uid, namespace, name string
	node, hostIP         string
	workload             workload
	user, queue, class   string
	has                  amounts // accelerators that it asks for
	claims               bool    // it asks for devices by claims (DRA) too, which are not read
	containers           []string
	command, workDir     string // of its first container

	phase    podPhase
	state    string // one word, as kubectl shows it: "Running", "CrashLoopBackOff"
	reason   string // a sentence
	exit     string // of an ended one: "0", "137", "OOMKilled"
	restarts int
	created  time.Time
	started  time.Time
	ended    time.Time
	deadline time.Duration // from its start; 0: none
}

// podPhase orders what a pod can be.
type podPhase uint8

const (
	podWaiting podPhase = iota // holds nothing, or is being started
	podRunning
	podLeaving // asked to end
	podDone
	podFailed
)

// holds says whether a pod has its node's accelerators.
func (p *pod) holds() bool { return p.node != "" && p.phase < podDone }

// trimPod keeps what is told of a pod; nil: nothing is, for it neither asks for an accelerator nor belongs to a parallel job.
func trimPod(o *corev1.Pod) *pod {
	has := asked(&o.Spec)
	claims := len(o.Spec.ResourceClaims) > 0
	w := workloadOf(&o.ObjectMeta)
	if len(has) == 0 && !claims && !w.follows {
		return nil
	}
	p := &pod{
		uid: word(string(o.UID)), namespace: word(o.Namespace), name: word(o.Name),
		node: word(o.Spec.NodeName), hostIP: word(o.Status.HostIP),
		workload: w, user: userOf(&o.ObjectMeta), queue: queueOf(&o.ObjectMeta), class: word(o.Spec.PriorityClassName),
		has: has, claims: claims,
		created: o.CreationTimestamp.Time,
	}
	if o.Status.StartTime != nil {
		p.started = o.Status.StartTime.Time
	}
	if d := o.Spec.ActiveDeadlineSeconds; d != nil && *d > 0 {
		p.deadline = time.Duration(min(*d, 1<<31)) * time.Second
	}
	if len(o.Spec.Containers) > 0 {
		c := &o.Spec.Containers[0]
		p.command, p.workDir = commandOf(c), word(c.WorkingDir)
	}
	for _, s := range o.Status.ContainerStatuses[:min(len(o.Status.ContainerStatuses), maxContainers)] {
		if id := containerID(s.ContainerID); id != "" {
			p.containers = append(p.containers, id)
		}
	}
	p.judge(o)
	return p
}

// commandOf is the program that a container runs, where its image does not decide that: the words before the first option, assignment, address or script, for what follows may hold secrets.
func commandOf(c *corev1.Container) string {
	var words []string
	for _, list := range [][]string{c.Command, c.Args} {
		for _, w := range list {
			if w == "" || w[0] == '-' || strings.ContainsAny(w, "=@ \t\n") || strings.Contains(w, "://") || len(words) == 4 {
				return word(strings.Join(words, " "))
			}
			words = append(words, w)
		}
	}
	return word(strings.Join(words, " "))
}

// containerID takes the runtime's prefix off: "containerd://HEX".
func containerID(s string) string {
	if _, id, ok := strings.Cut(s, "://"); ok {
		s = id
	}
	return word(s)
}

// asked is how many accelerators a pod gets: what its containers ask for in sum, or what one of those that run before them does, if that is more. Init containers that stay
// (sidecars) count as containers.
func asked(s *corev1.PodSpec) amounts {
	var sum, before amounts
	for i := range s.InitContainers {
		c := &s.InitContainers[i]
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sum = sum.add(ofContainer(c))
		} else {
			before = before.most(sum.add(ofContainer(c)))
		}
	}
	for i := range s.Containers {
		sum = sum.add(ofContainer(&s.Containers[i]))
	}
	return sum.most(before)
}

// ofContainer takes the limits, which for devices are the requests.
func ofContainer(c *corev1.Container) amounts {
	if len(c.Resources.Limits) == 0 && len(c.Resources.Requests) == 0 {
		return nil
	}
	if a := amountsOf(c.Resources.Limits); len(a) > 0 {
		return a
	}
	return amountsOf(c.Resources.Requests)
}

// judge says what a pod is doing, and why, in the words that kubectl uses.
func (p *pod) judge(o *corev1.Pod) {
	s := &o.Status
	switch s.Phase {
	case corev1.PodRunning:
		p.phase, p.state = podRunning, "Running"
	case corev1.PodSucceeded:
		p.phase, p.state, p.exit = podDone, "Succeeded", "0"
	case corev1.PodFailed:
		p.phase, p.state = podFailed, "Failed"
	case corev1.PodPending:
		p.state = "Pending"
	default:
		p.state = "Unknown"
	}
	if s.Reason != "" { // Evicted, NodeLost, UnexpectedAdmissionError, …
		p.state = word(s.Reason)
	}
	p.reason = text(s.Message)
	p.judgeConditions(s)
	p.judgeContainers(s)
	if p.phase == podFailed && p.exit == "" {
		p.exit = p.state
	}
	if o.DeletionTimestamp != nil && p.phase < podDone {
		p.phase, p.state = podLeaving, "Terminating"
		if s.Reason == "NodeLost" {
			p.state = "Unknown"
		}
	}
}

func (p *pod) judgeConditions(s *corev1.PodStatus) {
	for i := range s.Conditions {
		c := &s.Conditions[i]
		if p.phase >= podDone && c.LastTransitionTime.After(p.ended) {
			p.ended = c.LastTransitionTime.Time // a container that ended says it better: judgeContainers
		}
		switch {
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse:
			if c.Reason != "" {
				p.state = word(c.Reason) // Unschedulable, SchedulingGated
			}
			p.reason = text(c.Message)
		case c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue:
			p.reason = text(firstOf(c.Message, c.Reason))
			if p.phase == podFailed && s.Reason == "" {
				p.state = word(firstOf(disruptions[c.Reason], c.Reason))
			}
		}
	}
}

// disruptions are short words for why a pod was ended by others.
var disruptions = map[string]string{
	"PreemptionByScheduler":  "Preempted",
	"DeletionByTaintManager": "Evicted",
	"EvictionByEvictionAPI":  "Evicted",
	"DeletionByPodGC":        "NodeLost",
	"TerminationByKubelet":   "Evicted",
}

func (p *pod) judgeContainers(s *corev1.PodStatus) {
	for i := range s.InitContainerStatuses {
		c := &s.InitContainerStatuses[i]
		p.restarts += bounded(c.RestartCount)
		if p.phase == podWaiting && !c.Ready {
			p.judgeContainer(c, "Init:")
		}
	}
	var last time.Time
	for i := range s.ContainerStatuses {
		c := &s.ContainerStatuses[i]
		p.restarts += bounded(c.RestartCount)
		p.judgeContainer(c, "")
		if t := c.State.Terminated; t != nil && t.FinishedAt.After(last) && p.phase >= podDone {
			last = t.FinishedAt.Time
		}
	}
	if !last.IsZero() {
		p.ended = last
	}
}

// judgeContainer takes what a container says where that explains its pod: why it waits, or how it failed.
func (p *pod) judgeContainer(c *corev1.ContainerStatus, prefix string) {
	waiting, ended, before := c.State.Waiting, c.State.Terminated, c.LastTerminationState.Terminated
	switch {
	case waiting != nil && waiting.Reason != "" && waiting.Reason != "PodInitializing":
		p.state = word(prefix + waiting.Reason)
		p.reason = text(waiting.Message)
		if before != nil {
			p.reason = text(strings.TrimPrefix(p.reason+"; it ended before with "+endWords(before), "; "))
		}
	case waiting != nil && p.state == "Pending":
		p.state = word(firstOf(waiting.Reason, "ContainerCreating"))
	case ended != nil && ended.ExitCode != 0 && p.phase != podDone:
		if p.exit == "" || ended.Reason == "OOMKilled" {
			p.exit = word(exitWord(ended))
			p.reason = text(strings.TrimSuffix(firstOf(p.reason, "container "+c.Name+" ended with "+endWords(ended)), "\n"))
		}
		if p.state == "Failed" || p.state == "Running" || prefix != "" {
			p.state = word(prefix + firstOf(ended.Reason, "Error"))
		}
	case before != nil && p.phase == podRunning && p.reason == "":
		p.reason = text("container " + c.Name + " was restarted after " + endWords(before))
	}
}

// exitWord is how a container ended, in one word.
func exitWord(t *corev1.ContainerStateTerminated) string {
	if t.Reason != "" && t.Reason != "Error" && t.Reason != "Completed" {
		return t.Reason
	}
	return strconv.Itoa(int(t.ExitCode))
}

// endWords is how a container ended, in a few.
func endWords(t *corev1.ContainerStateTerminated) string {
	out := fmt.Sprintf("%s (exit %d)", firstOf(t.Reason, "Error"), t.ExitCode)
	if t.Message != "" {
		out += ": " + t.Message
	}
	return out
}

// bounded is a count that a server may say, as far as it is believed.
func bounded(n int32) int { return int(min(max(n, 0), 1<<20)) }

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}
