package fleet

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestQuestions(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	f := New(Options{Now: func() time.Time { return now }})
	set := func(name, host, print string, v KeyVerdict) {
		f.Add(name)
		f.SetStatus(name, Status{State: NeedsTrust, HostKey: &HostKey{Host: host, Type: "ED25519\x1b", Fingerprint: print, Verdict: v, Known: make([]string, 20)}})
	}
	set("a1", "jump", "SHA256:j", KeyUnknown) // two behind one jump host
	set("a2", "jump", "SHA256:j", KeyUnknown)
	set("b1", "b1", "SHA256:c", KeyUnknown) // two that were copied from one
	set("b2", "b2", "SHA256:c", KeyUnknown)
	set("c", "c", "SHA256:c", KeyChanged) // the same key, but elsewhere another is known
	set("d", "d", "SHA256:d", KeyUnknown)
	f.SetStatus("d", Status{State: Live})
	f.SetQuestions([]Question{{Kind: AskInteractive, ID: 1, Host: "h\x07", Text: strings.Repeat("x", 9999), Prompts: make([]QuestionPrompt, 99), Nodes: []string{"n10", "n9"}}})
	s := f.Publish()
	var got []string
	for _, q := range s.Questions {
		hosts := strings.Join(q.Hosts, " ")
		if q.Kind != AskHostKey {
			hosts = q.Host
		}
		got = append(got, hosts+": "+strings.Join(q.Nodes, " "))
	}
	if diff := cmp.Diff([]string{"c: c", "jump: a1 a2", "b1 b2: b1 b2", "h\ufffd: n9 n10"}, got); diff != "" {
		t.Error(diff)
	}
	asked := s.Questions[3]
	if len(asked.Prompts) != maxPrompts || len(asked.Text) > 2*maxQuestionText {
		t.Errorf("%d prompts, %d bytes", len(asked.Prompts), len(asked.Text))
	}
	if k := s.Node("a1").HostKey; k.Type != "ED25519\ufffd" || len(k.Known) > 8 {
		t.Errorf("%+v", k)
	}
	if s.Questions[0].Key.MayBeAccepted() || !s.Questions[1].Key.MayBeAccepted() {
		t.Error("what may be accepted")
	}
	f.SetQuestions(nil)
	f.Remove("c")
	if n := len(f.Publish().Questions); n != 2 {
		t.Errorf("%d questions are left", n)
	}
}

func TestVerdictWords(t *testing.T) {
	for v := KeyUnknown; v <= KeyInvalid; v++ {
		if v.String() == "" {
			t.Errorf("verdict %d has no word", v)
		}
	}
}
