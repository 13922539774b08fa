package ui

import (
	"strings"

	"foretop/jobs/layout"
)

// peerLetters are the marks of a rank's peers, by dimension, from the one that gives way to the others on: a rank's tensor parallel neighbour may be its
// neighbour among the experts too.
var peerLetters = []struct {
	dim    string
	letter byte
	word   string
}{
	{layout.PP, 'p', "pipeline"}, {layout.Replicate, 'r', "replicas"}, {layout.DP, 'd', "data"}, {layout.Shard, 'f', "fsdp"}, {layout.EP, 'e', "experts"},
	{layout.CP, 'c', "context"}, {layout.SP, 's', "sequence"}, {layout.GTP, 'g', "weights"}, {layout.TP, 't', "tensor"},
}

// peers marks those that a rank talks to. It is worked out when another rank is selected.
type peers struct {
	l     *layout.Layout
	self  int
	marks []byte // by rank: a letter, 0 none
}

// of makes the marks those of a rank of a layout; none where there is no such rank.
func (p *peers) of(l *layout.Layout, self int) {
	if p.l == l && p.self == self {
		return
	}
	p.l, p.self = l, self
	if l == nil || self < 0 {
		p.marks = p.marks[:0]
		return
	}
	if cap(p.marks) < l.World {
		p.marks = make([]byte, l.World)
	}
	p.marks = p.marks[:l.World]
	clear(p.marks)
	for _, d := range peerLetters {
		if l.Size(d.dim) > 1 {
			for _, r := range l.Peers(self, d.dim) {
				p.marks[r] = d.letter
			}
		}
	}
	p.marks[self] = 0
}

// mark is a rank's letter, 0 none.
func (p *peers) mark(unit int32) byte {
	if unit < 0 || int(unit) >= len(p.marks) {
		return 0
	}
	return p.marks[unit]
}

// among is the letter of a group of ranks: that of the nearest peer in it.
func (p *peers) among(units []int32) (letter byte) {
	best := -1
	for _, u := range units {
		if m := p.mark(u); m != 0 {
			for i, d := range peerLetters {
				if d.letter == m && i > best {
					best, letter = i, m
				}
			}
		}
	}
	return letter
}

// words explain the letters that are to be seen: "t tensor · d data · p pipeline".
func (p *peers) words() string {
	var words []string
	for i := len(peerLetters) - 1; i >= 0; i-- {
		if d := peerLetters[i]; p.l != nil && p.l.Size(d.dim) > 1 && len(p.marks) > 0 {
			words = append(words, string(d.letter)+" "+d.word)
		}
	}
	return strings.Join(words, " · ")
}
