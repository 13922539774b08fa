package cli

import (
	"errors"
	"fmt"

	"foretop/fleet"
	"foretop/sshpool"
)

// questionsOf puts the pool's questions into the fleet's words.
func questionsOf(list []sshpool.Question) []fleet.Question {
	out := make([]fleet.Question, len(list))
	for i, q := range list {
		out[i] = fleet.Question{
			Kind: questionKinds[q.Kind], ID: q.ID, Round: q.Round, User: q.User, Host: q.Host, File: q.File, Jump: q.Jump, Title: q.Title, Text: q.Text, Busy: q.Busy,
			Nodes: q.Nodes, Tries: q.Tries, Words: q.Words, Since: q.Since,
		}
		for _, p := range q.Prompts {
			out[i].Prompts = append(out[i].Prompts, fleet.QuestionPrompt{Text: p.Text, Echo: p.Echo})
		}
	}
	return out
}

// questionKinds gives the fleet's word for each of the pool's.
var questionKinds = [...]fleet.QuestionKind{
	sshpool.AskPassphrase: fleet.AskPassphrase, sshpool.AskPassword: fleet.AskPassword, sshpool.AskInteractive: fleet.AskInteractive,
}

// keyVerdicts gives the fleet's word for each of the pool's.
var keyVerdicts = [...]fleet.KeyVerdict{
	sshpool.KeyUnknown: fleet.KeyUnknown, sshpool.KeyOtherKind: fleet.KeyOtherKind, sshpool.KeyChanged: fleet.KeyChanged, sshpool.KeyRevoked: fleet.KeyRevoked,
	sshpool.KeyBadCert: fleet.KeyInvalid, sshpool.KeyTooShort: fleet.KeyInvalid,
}

// hostKeyOf is the key that an error is about; nil: it is about none.
func hostKeyOf(err error) *fleet.HostKey {
	var bad *sshpool.HostKeyError
	if !errors.As(err, &bad) {
		return nil
	}
	k := &fleet.HostKey{Host: bad.Name, Type: bad.KeyKind(), Fingerprint: bad.Fingerprint(), Verdict: keyVerdicts[bad.Verdict]}
	if k.MayBeAccepted() && !bad.MayBeTaken() {
		k.Verdict = fleet.KeyStrict
	}
	for _, known := range bad.Known {
		k.Known = append(k.Known, fmt.Sprintf("%s %s:%d", known.Key.Type(), known.File, known.Line))
	}
	return k
}

// Begin, Answer, Decline and Trust take what the person at the screen says.
func (s *station) Begin(id uint64) { s.pool.Begin(id) }

func (s *station) Answer(id uint64, round int, answers [][]byte) error {
	return s.pool.Answer(id, round, answers)
}

func (s *station) Decline(id uint64) { s.pool.Decline(id) }

func (s *station) Trust(node, fingerprint string) error { return s.pool.Trust(node, fingerprint) }
