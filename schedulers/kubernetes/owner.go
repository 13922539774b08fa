package kubernetes

import (
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// workload is what a pod is a part of.
type workload struct {
	kind string // in lower case, as one would type it to kubectl: "pytorchjob"
	name string
	role string // which kind of pod of it
	// index is its number in its role, -1 unknown.
	index int
	// follows: pods without an accelerator belong to the job too, as a launcher or a head does.
	follows bool
}

// Labels and annotations that operators put on their pods. Sources: each project's API reference.
const (
	jobName         = "batch.kubernetes.io/job-name"
	jobNameOld      = "job-name"
	completionIndex = "batch.kubernetes.io/job-completion-index"
	podIndex        = "apps.kubernetes.io/pod-index"

	jobsetName     = "jobset.sigs.k8s.io/jobset-name"
	jobsetRole     = "jobset.sigs.k8s.io/replicatedjob-name"
	jobsetReplicas = "jobset.sigs.k8s.io/replicatedjob-replicas"
	jobsetJobIndex = "jobset.sigs.k8s.io/job-index"
	trainJobStep   = "trainer.kubeflow.org/trainjob-ancestor-step"

	kubeflowName  = "training.kubeflow.org/job-name"
	kubeflowRole  = "training.kubeflow.org/replica-type"
	kubeflowIndex = "training.kubeflow.org/replica-index"
	kubeflowMPI   = "training.kubeflow.org/job-role"
	kubeflowBy    = "training.kubeflow.org/operator-name"

	rayCluster = "ray.io/cluster"
	rayType    = "ray.io/node-type"
	rayGroup   = "ray.io/group"
	rayFrom    = "ray.io/originated-from-crd"
	rayFromNow = "ray.io/originated-from-cr-name"

	lwsName   = "leaderworkerset.sigs.k8s.io/name"
	lwsGroup  = "leaderworkerset.sigs.k8s.io/group-index"
	lwsWorker = "leaderworkerset.sigs.k8s.io/worker-index"

	volcanoName  = "volcano.sh/job-name"
	volcanoRole  = "volcano.sh/task-spec"
	volcanoIndex = "volcano.sh/task-index"

	argoWorkflow = "workflows.argoproj.io/workflow"
	templateHash = "pod-template-hash"
)

// operators know their pods by a label; the first that does has it. Those that build on others' objects come before them: a TrainJob is made of a JobSet, and that of Jobs;
// an MPIJob's launcher is a Job's pod.
var operators = []struct {
	label string
	take  func(m *metav1.ObjectMeta) workload
}{
	{trainJobStep, func(m *metav1.ObjectMeta) workload { return jobset(m, "trainjob") }},
	{jobsetName, func(m *metav1.ObjectMeta) workload { return jobset(m, "jobset") }},
	{kubeflowName, kubeflow},
	{rayCluster, ray},
	{lwsName, func(m *metav1.ObjectMeta) workload {
		w := workload{kind: "leaderworkerset", name: m.Labels[lwsName], role: "worker", index: number(m.Labels[lwsWorker]), follows: true}
		if w.index == 0 {
			w.role = "leader"
		}
		if g := m.Labels[lwsGroup]; g != "" {
			w.role += "-" + g
		}
		return w
	}},
	{volcanoName, func(m *metav1.ObjectMeta) workload {
		return workload{"vcjob", m.Labels[volcanoName], either(m, volcanoRole), number(either(m, volcanoIndex)), true}
	}},
	{argoWorkflow, func(m *metav1.ObjectMeta) workload {
		return workload{"workflow", m.Labels[argoWorkflow], "", -1, false}
	}},
	{jobName, batchJob},
	{jobNameOld, batchJob},
}

// workloadOf says what a pod is a part of: by its operator's labels, else by the object that controls it, else it stands for itself.
func workloadOf(m *metav1.ObjectMeta) workload {
	w := findWorkload(m)
	w.kind, w.name, w.role = word(strings.ToLower(w.kind)), word(w.name), word(w.role)
	return w
}

func findWorkload(m *metav1.ObjectMeta) workload {
	for _, o := range operators {
		if either(m, o.label) != "" {
			if w := o.take(m); w.name != "" {
				return w
			}
		}
	}
	owner := controller(m)
	switch {
	case owner == nil || owner.Name == "" || owner.Kind == "Node": // a static pod's mirror is its node's
		return workload{"pod", m.Name, "", -1, false}
	case owner.Kind == "ReplicaSet":
		if hash := m.Labels[templateHash]; hash != "" {
			if name, ok := strings.CutSuffix(owner.Name, "-"+hash); ok {
				return workload{"deployment", name, "", -1, false}
			}
		}
	case owner.Kind == "StatefulSet":
		return workload{"statefulset", owner.Name, "", number(m.Labels[podIndex]), false}
	case owner.Kind == "Job" && strings.HasPrefix(owner.APIVersion, "batch.volcano.sh/"):
		return workload{"vcjob", owner.Name, "", -1, true}
	}
	return workload{owner.Kind, owner.Name, "", -1, false}
}

// jobset takes one job of a set: its pods are numbered within it, so the job's number belongs to the role where a role has several.
func jobset(m *metav1.ObjectMeta, kind string) workload {
	w := workload{kind, m.Labels[jobsetName], m.Labels[jobsetRole], number(either(m, completionIndex)), true}
	if n := m.Labels[jobsetReplicas]; n != "" && n != "1" {
		w.role += "-" + m.Labels[jobsetJobIndex]
	}
	return w
}

// kubeflow takes a pod of the training operator or of the MPI operator. Which kind of job says its controller, or, where that is a Job of the launcher, the operator.
func kubeflow(m *metav1.ObjectMeta) workload {
	w := workload{"", m.Labels[kubeflowName], m.Labels[kubeflowRole], number(m.Labels[kubeflowIndex]), true}
	if w.role == "" {
		w.role = m.Labels[kubeflowMPI]
	}
	if o := controller(m); o != nil && o.Kind != "Job" {
		w.kind = o.Kind
	} else if by := m.Labels[kubeflowBy]; strings.HasPrefix(by, "mpi-") || by == "" && m.Labels[kubeflowMPI] != "" {
		w.kind = "mpijob"
	} else {
		w.kind = strings.TrimSuffix(by, "-controller")
	}
	if w.kind == "" {
		w.kind = "job"
	}
	return w
}

// ray takes a pod of KubeRay. A cluster that a RayJob or a RayService made for itself has a name that nobody chose: they are named instead.
func ray(m *metav1.ObjectMeta) workload {
	w := workload{"raycluster", m.Labels[rayCluster], m.Labels[rayType], -1, true}
	if from, now := m.Labels[rayFrom], m.Labels[rayFromNow]; from != "" && now != "" {
		w.kind, w.name = from, now
	}
	if g := m.Labels[rayGroup]; w.role == "worker" && g != "" {
		w.role = g
	}
	return w
}

func batchJob(m *metav1.ObjectMeta) workload {
	w := workload{"job", m.Labels[jobName], "", number(either(m, completionIndex)), false}
	if w.name == "" {
		w.name = m.Labels[jobNameOld]
	}
	if o := controller(m); o != nil && o.Kind != "Job" && o.Kind != "" {
		w.kind, w.name = o.Kind, o.Name // somebody else's pod with such a label
	}
	return w
}

// controller is the reference to the object that made a pod, nil without one.
func controller(m *metav1.ObjectMeta) *metav1.OwnerReference {
	for i := range m.OwnerReferences {
		if o := &m.OwnerReferences[i]; o.Controller != nil && *o.Controller {
			return o
		}
	}
	return nil
}

// either is a label, or the annotation of that name: some versions write the one, some the other.
func either(m *metav1.ObjectMeta, key string) string {
	if v := m.Labels[key]; v != "" {
		return v
	}
	return m.Annotations[key]
}

// number reads an index, -1 where there is none.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1<<20 {
		return -1
	}
	return n
}

// people are the labels and annotations that name the person for whom a pod runs, the surer ones first. Those that name a service account are no people.
var people = []string{
	"hub.jupyter.org/username",
	"skypilot-user",
	"workflows.argoproj.io/creator-preferred-username",
	"workflows.argoproj.io/creator-email",
	"workflows.argoproj.io/creator",
	"user",
	"username",
	"owner",
	"creator",
	"created-by",
	"submitted-by",
}

// userOf is who the person would recognise: the one that a pod is labelled with, else its namespace.
func userOf(m *metav1.ObjectMeta) string {
	for _, key := range people {
		v := either(m, key)
		if v != "" && !strings.HasPrefix(v, "system:") && !strings.HasPrefix(v, "system-serviceaccount-") {
			return word(v)
		}
	}
	return word(m.Namespace)
}

// queues are the labels and annotations that name the queue, quota or account that a pod runs on.
var queues = []string{
	"kueue.x-k8s.io/local-queue-name",
	"kueue.x-k8s.io/queue-name",
	"volcano.sh/queue-name",
	"kai.scheduler/queue",
	"runai/queue",
	"yunikorn.apache.org/queue",
}

func queueOf(m *metav1.ObjectMeta) string {
	for _, key := range queues {
		if v := either(m, key); v != "" {
			return word(v)
		}
	}
	return ""
}
