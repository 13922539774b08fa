// Package findings judges what the fleet shows: what a kernel line says, what is wrong on a node, how a job does. Rules are pure over what
// they are given: the snapshot's types, the time, and a [fleet.Memory] of since when conditions have held. They read no clock and no system.
//
// A rule states what is seen; what it only infers it words as inference, with a question mark or as "unlike its peers". What could not be looked at is
// "not checked", which is never "fine".
//
// fleet does not import this package: [Rules] is injected where the fleet is made.
package findings

import (
	"time"

	"foretop/fleet"
)

// Rules are all rules, for the options of one fleet: those about jobs keep what they learned of each. What each is stands in [Table]; [Without] leaves some out.
func Rules() fleet.Rules { return Set{}.Rules() }

// Node lists what is wrong on a node, by all rules.
func Node(n *fleet.Node, at time.Time, m *fleet.Memory) []fleet.Problem { return Set{}.Node(n, at, m) }
