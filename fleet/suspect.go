package fleet

import "fmt"

// Suspect is what a verdict accuses: a rank, a GPU, a port, a node, or a stage of a pipeline. What is not known of it, or what it is not, is -1 or "".
type Suspect struct {
	Node      string
	GPU, Port int // indices on the node
	Rank      int
	Stage     int // of a pipeline
}

// nobody is the suspect of whom nothing is known.
var nobody = Suspect{GPU: -1, Port: -1, Rank: -1, Stage: -1}

// SuspectNode is a node as a whole.
func SuspectNode(name string) Suspect {
	s := nobody
	s.Node = name
	return s
}

// SuspectRank is a rank and the node that it is on.
func SuspectRank(node string, rank int) Suspect {
	s := SuspectNode(node)
	s.Rank = rank
	return s
}

// Suspect is a GPU of a job with the rank on it.
func (r *GPURef) Suspect() Suspect {
	s := SuspectRank(r.Node, r.Rank)
	s.GPU = r.Index
	return s
}

// SuspectStage is a stage of a pipeline.
func SuspectStage(stage int) Suspect {
	s := nobody
	s.Stage = stage
	return s
}

// String names it as shortly as it can be: "rank 131", "gpu017 GPU3", "gpu017", "stage 2".
func (s Suspect) String() string {
	switch {
	case s.Stage >= 0:
		return fmt.Sprintf("stage %d", s.Stage)
	case s.Rank >= 0:
		return fmt.Sprintf("rank %d", s.Rank)
	case s.GPU >= 0:
		return fmt.Sprintf("%s GPU%d", s.Node, s.GPU)
	}
	return s.Node
}
