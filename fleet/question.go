package fleet

import (
	"cmp"
	"slices"
	"time"

	"foretop/telemetry"
)

// QuestionKind is what a connection wants of the person at the keyboard.
type QuestionKind uint8

// The kinds.
const (
	AskHostKey     QuestionKind = iota // whether a host's key is the right one
	AskPassphrase                      // of a key file
	AskPassword                        // of an account
	AskInteractive                     // what the server itself asks: a one-time code, a password, both
)

// Question is something that nodes wait for and only a person can give. No answer is ever in it.
type Question struct {
	Kind  QuestionKind
	ID    uint64 // names it; of a host key 0: that is named by its fingerprint
	Round int    // rises when something else is to be answered
	User  string
	Host  string // that an answer is tried on first; of a host key the name that known_hosts has
	File  string // the key file of a passphrase
	Jump  bool   // Host is a jump host

	Title, Text string // a server's words beside its prompts
	Prompts     []QuestionPrompt
	Busy        bool // an answer is being tried, or a server being asked: nothing can be answered now

	Nodes []string // that wait for it, by name
	Tries int      // answers that were not taken
	Words string   // why it is asked again
	Since time.Time

	Key   *HostKey // of AskHostKey
	Hosts []string // that showed that key, each once: names as known_hosts has them
}

// QuestionPrompt is one line to be answered.
type QuestionPrompt struct {
	Text string
	Echo bool // what is typed may be seen
}

// HostKey is a key that a host showed and that is not trusted.
type HostKey struct {
	Host        string // as known_hosts names it: host, or [host]:port
	Type        string // "ED25519"
	Fingerprint string // SHA-256, as OpenSSH writes it
	Verdict     KeyVerdict
	Known       []string // what is known in its place, with file and line
}

// KeyVerdict is what is wrong with a host's key.
type KeyVerdict uint8

// The verdicts. Only the first two can be accepted.
const (
	KeyUnknown   KeyVerdict = iota // nothing is known of the host
	KeyOtherKind                   // keys of other types are known
	KeyStrict                      // unknown, and the configuration lets nobody accept it (StrictHostKeyChecking yes)
	KeyChanged                     // another key of that type is known: an alarm
	KeyRevoked                     // it is revoked: an alarm
	KeyInvalid                     // a certificate that is not valid here, or a key that is too short
)

// MayBeAccepted says that a key is merely unknown.
func (k *HostKey) MayBeAccepted() bool { return k.Verdict <= KeyOtherKind }

// String names a verdict in a word or two.
func (v KeyVerdict) String() string {
	return [...]string{"unknown", "unknown kind", "unknown, strict", "CHANGED", "REVOKED", "not valid"}[min(v, KeyInvalid)]
}

// Bounds of what a server may put on the screen.
const (
	maxQuestionText = 512
	maxPrompts      = 16
)

// SetQuestions says what is open beside host keys, in the order in which it is to be answered. The list belongs to the fleet from now on.
func (f *Fleet) SetQuestions(list []Question) {
	for i := range list {
		q := &list[i]
		for _, s := range []*string{&q.User, &q.Host, &q.File, &q.Title, &q.Words} {
			*s = telemetry.Clean(*s, maxQuestionText)
		}
		q.Text = telemetry.Clean(q.Text, 2*maxQuestionText)
		q.Prompts = q.Prompts[:min(len(q.Prompts), maxPrompts)]
		for j := range q.Prompts {
			q.Prompts[j].Text = telemetry.Clean(q.Prompts[j].Text, maxQuestionText)
		}
		slices.SortFunc(q.Nodes, compareNames)
	}
	f.questions.Store(&list)
}

// questionsOf gives all that is open: host keys first, for nothing is asked of a host that is not trusted; alarms before what can be accepted.
func (f *Fleet) questionsOf(nodes []*Node) []Question {
	list := hostKeyQuestions(nodes)
	if asked := f.questions.Load(); asked != nil {
		list = append(list, *asked...)
	}
	return list
}

// hostKeyQuestions puts nodes together that showed one key and are wrong in one way: those behind one jump host, several names of one host, or machines that were copied from one.
func hostKeyQuestions(nodes []*Node) []Question {
	type group struct {
		print   string
		verdict KeyVerdict
	}
	at := map[group]int{}
	var list []Question
	for _, n := range nodes {
		k := n.HostKey
		if k == nil || n.State != NeedsTrust {
			continue
		}
		g := group{k.Fingerprint, k.Verdict}
		i, ok := at[g]
		if !ok {
			i = len(list)
			at[g] = i
			list = append(list, Question{Kind: AskHostKey, Host: k.Host, Key: k, Since: n.Since})
		}
		q := &list[i]
		q.Nodes = append(q.Nodes, n.Name)
		if !slices.Contains(q.Hosts, k.Host) {
			q.Hosts = append(q.Hosts, k.Host)
		}
		if n.Since.Before(q.Since) {
			q.Since = n.Since
		}
	}
	slices.SortStableFunc(list, func(a, b Question) int { return cmp.Compare(b.Key.Verdict, a.Key.Verdict) })
	return list
}

// cleanHostKey bounds what is told of a key.
func cleanHostKey(k *HostKey) *HostKey {
	if k == nil {
		return nil
	}
	c := HostKey{telemetry.Clean(k.Host, 256), telemetry.Clean(k.Type, 64), telemetry.Clean(k.Fingerprint, 128), k.Verdict, slices.Clone(k.Known[:min(len(k.Known), 8)])}
	for i := range c.Known {
		c.Known[i] = telemetry.Clean(c.Known[i], maxQuestionText)
	}
	return &c
}
