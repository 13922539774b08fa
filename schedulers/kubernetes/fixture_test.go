package kubernetes

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"foretop/schedulers"
)

var update = flag.Bool("update", false, "write the expected files anew")

const fixtures = "../../testdata/kubernetes"

// fixture reads the objects of a file: those of cluster.yaml are nodes and pods.
func fixture(t testing.TB, name string) (nodes []*corev1.Node, pods []*corev1.Pod) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(fixtures, name))
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(b), "\n---\n") {
		var kind struct{ Kind string }
		must(t, yaml.Unmarshal([]byte(document), &kind))
		switch kind.Kind {
		case "Node":
			n := &corev1.Node{}
			must(t, yaml.UnmarshalStrict([]byte(document), n))
			nodes = append(nodes, n)
		case "Pod":
			p := &corev1.Pod{}
			must(t, yaml.UnmarshalStrict([]byte(document), p))
			pods = append(pods, p)
		}
	}
	if len(nodes) == 0 || len(pods) == 0 {
		t.Fatalf("%s holds %d nodes and %d pods", name, len(nodes), len(pods))
	}
	return nodes, pods
}

// filled is a cluster that knows these objects, as after a list.
func filled(t testing.TB, nodes []*corev1.Node, pods []*corev1.Pod) *Cluster {
	t.Helper()
	c := New(Options{})
	fill(t, &scope[node]{c.nodes, everywhere, func() {}}, nodes)
	fill(t, &scope[pod]{c.pods, everywhere, func() {}}, pods)
	c.synced = time.Unix(1, 0)
	return c
}

func fill[T, O any](t testing.TB, into *scope[T], objects []O) {
	t.Helper()
	var list []any
	for _, o := range objects {
		list = append(list, o)
	}
	must(t, into.Replace(list, "1"))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// likeGolden compares what of a picture does not differ from run to run with picture.json.
func likeGolden(t *testing.T, p *schedulers.Picture) {
	t.Helper()
	got := schedulers.Picture{Kind: p.Kind, Nodes: slices.Clone(p.Nodes), Jobs: slices.Clone(p.Jobs), Unseen: p.Unseen, Cut: p.Cut, Problem: p.Problem}
	for i := range got.Jobs {
		j := &got.Jobs[i]
		j.SubmitAt = time.Time{}
		j.Pods = slices.Clone(j.Pods)
		for k := range j.Pods {
			j.Pods[k].UID = ""
		}
	}
	text, err := json.MarshalIndent(got, "", " ")
	must(t, err)
	path := filepath.Join(fixtures, "picture.json")
	if *update {
		must(t, os.WriteFile(path, append(text, '\n'), 0o644))
	}
	b, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(strings.Split(string(b), "\n"), strings.Split(string(text)+"\n", "\n")); diff != "" {
		t.Errorf("picture (-expected +got):\n%s", diff)
	}
}

func TestPictureOfFixture(t *testing.T) {
	nodes, pods := fixture(t, "cluster.yaml")
	likeGolden(t, filled(t, nodes, pods).picture(time.Unix(2, 0)))
}
