package sshpool

import (
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	keptFresh  = time.Minute // a kept secret that some host took within this is used for all that want it; later one host tries it first
	maxPrompts = 16          // of one round of a conversation
	maxPrompt  = 512         // bytes of one prompt, and of what is said beside them
)

// about is what a question is about: hosts for which it is the same share its answer.
type about struct {
	kind       QuestionKind
	user, host string
	file       string
	jump       bool
	max        int    // wrong answers until it is put no more (NumberOfPasswordPrompts)
	way        string // this very host, where it is asked apart from the others
	key        string // of those that share it
}

// aboutPassphrase is about a key file.
func aboutPassphrase(r *Resolved, via []string, file string) about {
	o := aboutHost(AskPassphrase, r, via)
	o.file, o.key, o.way = file, "passphrase "+file, ""
	return o
}

// aboutHost is about getting into a host. A secret goes no further than it was meant for: it is shared by hosts of one domain that are reached by one way for one user. A jump
// host's is its own.
func aboutHost(kind QuestionKind, r *Resolved, via []string) about {
	o := about{kind: kind, user: r.User, host: r.HostName, jump: len(via) > 0, max: r.Prompts}
	if r.Alias != "" {
		o.host = r.Alias
	}
	if o.max <= 0 {
		o.max = 3
	}
	host := lower(r.HostName)
	group := ""
	switch _, domain, dotted := strings.Cut(host, "."); {
	case o.jump:
		group = "jump " + host + ":" + strconv.Itoa(r.Port)
	case net.ParseIP(host) != nil:
		group = "an address"
	case dotted:
		group = "." + domain
	}
	o.key = strings.Join([]string{[...]string{"passphrase", "password", "interactive"}[kind], r.User, group, r.ProxyJump}, "\x00")
	o.way = host + ":" + strconv.Itoa(r.Port)
	return o
}

// askState is how far a question has come.
type askState uint8

const (
	askWanted askState = iota // a person is to answer, or to begin
	askReady                  // one did: the next host takes it up
	askTrying                 // a host does
)

// ask is one question.
type ask struct {
	about   about
	id      uint64
	state   askState
	round   int
	since   time.Time
	words   string
	tries   int
	silent  bool     // what was taken before is tried anew: nobody is asked
	secret  [][]byte // typed, and not yet used
	runner  string   // the node that was sent to take it up
	waiting []*ticket

	title, text string
	prompts     []Prompt
	reply       chan [][]byte // to the conversation that waits for it; closed: declined
	carried     []Prompt      // what secret answers, of a conversation that was cut
}

// ticket is a node's place among those that wait for a question.
type ticket struct {
	node  string
	ready chan bool // true: try now; false: the question is not put any more
}

// kept is what was taken, for as long as the program runs.
type kept struct {
	answers map[string][]byte // by prompt; "" is a password's
	whole   bool              // it is all that is asked for
	at      time.Time         // when it was last taken
	refused int               // hosts in a row that did not take it
}

func (k *kept) wipe() {
	for _, a := range k.answers {
		clear(a)
	}
}
