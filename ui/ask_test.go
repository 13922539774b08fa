package ui

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/fleet"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// clerk is an Asker that remembers what it is told.
type clerk struct {
	told []string
	err  error
}

func (c *clerk) Begin(id uint64) { c.told = append(c.told, fmt.Sprintf("begin %d", id)) }
func (c *clerk) Answer(id uint64, round int, answers [][]byte) error {
	c.told = append(c.told, fmt.Sprintf("answer %d.%d %q", id, round, answers))
	return c.err
}
func (c *clerk) Decline(id uint64) { c.told = append(c.told, fmt.Sprintf("decline %d", id)) }
func (c *clerk) Trust(node, fingerprint string) error {
	c.told = append(c.told, "trust "+node+" "+fingerprint)
	return c.err
}

func (c *clerk) take() []string {
	told := c.told
	c.told = nil
	return told
}

const (
	printOne   = "SHA256:oneoneoneoneoneoneoneoneoneoneoneoneoneone1"
	printTwo   = "SHA256:twotwotwotwotwotwotwotwotwotwotwotwotwotwo2"
	printThree = "SHA256:threethreethreethreethreethreethreethreeth3"
)

// passwordQuestion is one that 200 nodes wait for.
func passwordQuestion() fleet.Question {
	q := fleet.Question{Kind: fleet.AskPassword, ID: 7, Round: 1, User: "ann", Host: "gpu001", Prompts: make([]fleet.QuestionPrompt, 1), Since: noon}
	for i := range 200 {
		q.Nodes = append(q.Nodes, fmt.Sprintf("gpu%03d", i+1))
	}
	return q
}

// codeQuestion is a server's own, with words that want to be something else.
func codeQuestion() fleet.Question {
	return fleet.Question{Kind: fleet.AskInteractive, ID: 8, Round: 3, User: "ann", Host: "login1", Jump: true, Title: "Duo", Text: "Autopush to +XX XXX 12", Nodes: []string{"gpu001", "gpu002"},
		Prompts: []fleet.QuestionPrompt{{Text: "Password: "}, {Text: "Passcode: ", Echo: true}}, Tries: 1, Words: "not taken by login1", Since: noon}
}

// withKeys are nodes whose host keys are not trusted: two that showed one key, one of its own, one changed.
func withKeys() ([]*fleet.Node, []fleet.Question) {
	var nodes []*fleet.Node
	var list []fleet.Question
	add := func(print string, v fleet.KeyVerdict, known []string, names ...string) {
		q := fleet.Question{Kind: fleet.AskHostKey, Since: noon}
		for _, name := range names {
			k := &fleet.HostKey{Host: "10.0.0." + strings.TrimPrefix(name, "new"), Type: "ED25519", Fingerprint: print, Verdict: v, Known: known}
			nodes = append(nodes, &fleet.Node{Name: name, State: fleet.NeedsTrust, HostKey: k, Cause: "host key of " + k.Host + " is " + v.String(), Remedy: "ask the node's admin whether it was reinstalled", Since: noon})
			q.Key, q.Host = k, k.Host
			q.Nodes, q.Hosts = append(q.Nodes, name), append(q.Hosts, k.Host)
		}
		list = append(list, q)
	}
	add(printThree, fleet.KeyChanged, []string{"ssh-ed25519 /home/ann/.ssh/known_hosts:12"}, "new4")
	add(printOne, fleet.KeyUnknown, nil, "new1", "new2")
	add(printTwo, fleet.KeyOtherKind, []string{"ssh-rsa /home/ann/.ssh/known_hosts:3"}, "new3")
	return nodes, list
}

// asks is a fleet with questions.
func asks(questions ...fleet.Question) *fleet.Snapshot {
	s := *hang()
	nodes, keys := withKeys()
	s.Nodes = append(slices.Clone(s.Nodes), nodes...)
	s.Questions = questions
	if questions == nil {
		s.Questions = append(keys, passwordQuestion())
	}
	return &s
}

func asking(c *clerk, w, h int, s *fleet.Snapshot, opt Options) *driver {
	opt.Asker = c
	return drive(s, w, h, opt)
}

func TestAskGoldens(t *testing.T) {
	_, keys := withKeys()
	for _, c := range []struct {
		name string
		snap *fleet.Snapshot
		keys string
	}{
		{"jobs", asks(), ""}, {"keys", asks(), "Q down"}, {"changed", asks(), "Q"}, {"accept", asks(), "Q * enter"}, {"password", asks(passwordQuestion()), "Q x y"},
		{"interactive", asks(append(keys, codeQuestion())...), "Q tab s e c r e t down 1 2"},
	} {
		for _, size := range sizes {
			t.Run(c.name+"/"+size.name, func(t *testing.T) {
				d := asking(&clerk{}, size.w, size.h, c.snap, Options{})
				d.keys(strings.Fields(c.keys)...)
				d.must(t)
				golden(t, filepath.Join("ask", c.name+"-"+size.name), trim(d.text()))
			})
		}
	}
}

// Every screen says that something is asked, in ASCII without colours too, and no screen loses its rectangle over it.
func TestAskedOnEveryScreen(t *testing.T) {
	for _, keys := range []string{"", "tab", "enter", "2", "2 enter", "2 L", "4", "?", "o", "p", "/ x", "Z", "S"} {
		d := asking(&clerk{}, 80, 24, asks(), Options{Profile: colorprofile.ASCII, ASCII: true})
		d.keys(strings.Fields(keys)...)
		d.must(t)
		if got := d.text(); !strings.Contains(got, "> 3 questions: press Q") || strings.ContainsFunc(got, func(r rune) bool { return r > 0x7e }) {
			t.Errorf("after %q:\n%s", keys, got)
		}
	}
	for _, keys := range []string{"Q", "Q *", "Q * enter", "Q tab", "Q tab a b c"} {
		d := asking(&clerk{}, 80, 24, asks(), Options{Mouse: true})
		d.keys(strings.Fields(keys)...)
		for h := range 13 {
			for w := 0; w <= 42; w += 1 + w/9 {
				d.send(tea.WindowSizeMsg{Width: w, Height: h})
				d.must(t)
			}
		}
		for _, size := range [][2]int{{80, 24}, {200, 60}, {500, 3}, {3, 200}} {
			d.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			d.must(t)
		}
	}
	d := drive(hang(), 80, 24, Options{})
	d.keys("Q")
	if !strings.Contains(d.text(), "nothing can be answered from here") {
		t.Errorf("with nobody to answer to:\n%s", d.text())
	}
}

// A secret is sent, and seen nowhere: not on the screen, not by its length, not in what the model keeps.
func TestSecretIsNotShown(t *testing.T) {
	c := &clerk{}
	d := asking(c, 80, 24, asks(passwordQuestion()), Options{})
	d.keys("Q")
	before := d.text()
	d.write("Tr0ub4dor")
	short := d.text()
	d.write("&3 longer")
	if strings.Contains(d.View().Content, "Tr0ub4dor") || short != d.text() || short == before {
		t.Errorf("what is typed shows:\n%s", d.text())
	}
	kept := d.asking.fields[0]
	d.keys("enter")
	if got := c.take(); !slices.Equal(got, []string{`answer 7.1 ["Tr0ub4dor&3 longer"]`}) {
		t.Errorf("%q", got)
	}
	for _, r := range kept {
		if r != 0 {
			t.Fatalf("the model still has %q", string(kept))
		}
	}
	if d.write("more").keys("enter"); len(c.take()) != 0 {
		t.Error("what is typed while an answer is tried was sent")
	}
	if !strings.Contains(d.text(), "in talks with gpu001") {
		t.Errorf("\n%s", d.text())
	}
	// It was wrong: asked anew, from the beginning.
	q := passwordQuestion()
	q.Round, q.Tries, q.Words = 2, 1, "not taken by gpu001"
	d.then(asks(q))
	if !strings.Contains(d.text(), "not taken by gpu001") {
		t.Errorf("\n%s", d.text())
	}
	d.write("right").keys("enter")
	if got := c.take(); !slices.Equal(got, []string{`answer 7.2 ["right"]`}) {
		t.Errorf("%q", got)
	}
	// All is answered: what is still typed starts nothing.
	s := asks(q)
	s.Questions = nil
	d.then(s)
	if d.keys("D", "K", "q"); d.Model.screen != screenAsk || !strings.Contains(d.text(), "nothing more is asked") {
		t.Errorf("\n%s", d.text())
	}
	if d.keys("esc"); d.Model.screen != screenJobs {
		t.Error("Esc does not leave")
	}
}

// next sends a later snapshot.
func (d *driver) then(s *fleet.Snapshot) {
	later := *s
	later.Sequence, later.At = d.latest.Sequence+1, d.latest.At.Add(time.Second)
	d.send(SnapshotMsg{&later})
}

// What is typed or pasted before the question was there does not count.
func TestTypedAhead(t *testing.T) {
	c := &clerk{}
	d := asking(c, 80, 24, asks(passwordQuestion()), Options{})
	d.settling = time.Hour // Update runs no commands here: the question is never ready
	press := func(keys ...string) {
		for _, k := range keys {
			_, _ = d.Update(keyMsg(k))
		}
	}
	press("Q", "a", "b", "enter")
	_, _ = d.Update(tea.PasteMsg{Content: "pasted\n"})
	press("enter")
	if len(c.take()) != 0 || len(d.asking.fields[0]) != 0 {
		t.Errorf("typed ahead: %q", string(d.asking.fields[0]))
	}
	if press("esc"); d.Model.screen != screenAsk {
		t.Error("an Esc that was typed ahead declined")
	}
	_, _ = d.Update(askReadyMsg(d.asking.serial - 1)) // of a question before
	if press("x"); len(d.asking.fields[0]) != 0 {
		t.Error("another question's time counted")
	}
	_, _ = d.Update(askReadyMsg(d.asking.serial))
	_, _ = d.Update(tea.PasteMsg{Content: "pasted\x1b[A secret\n"}) // from a password manager
	if got := string(d.asking.fields[0]); got != "pasted[A secret" {
		t.Errorf("pasted %q", got)
	}
	press("backspace", "ctrl+u", "x")
	if got := string(d.asking.fields[0]); got != "x" {
		t.Errorf("%q", got)
	}
}

// A server's prompts: filled in one after another, what may be seen is; a conversation begins when a person is there.
func TestInteractive(t *testing.T) {
	c := &clerk{}
	q := codeQuestion()
	q.Prompts = nil
	d := asking(c, 80, 24, asks(q), Options{})
	if len(c.take()) != 0 {
		t.Error("it began by itself")
	}
	d.keys("Q")
	if got := c.take(); !slices.Equal(got, []string{"begin 8"}) {
		t.Errorf("%q", got)
	}
	d.then(asks(q))
	if got := c.take(); len(got) != 0 {
		t.Errorf("it began twice: %q", got)
	}
	full := codeQuestion()
	full.Round++
	d.then(asks(full))
	for _, want := range []string{"ann@login1 (a jump host)", "login1 says: Duo", "Password:", "Passcode:", "not taken by login1"} {
		if !strings.Contains(d.text(), want) {
			t.Errorf("no %q in\n%s", want, d.text())
		}
	}
	d.write("right").keys("enter")
	if len(c.take()) != 0 {
		t.Error("the first line alone was sent")
	}
	d.write("123456")
	if !strings.Contains(d.text(), "Passcode: 123456") || strings.Contains(d.text(), "right") {
		t.Errorf("\n%s", d.text())
	}
	d.keys("enter")
	if got := c.take(); !slices.Equal(got, []string{`answer 8.4 ["right" "123456"]`}) {
		t.Errorf("%q", got)
	}
}

func TestDecline(t *testing.T) {
	c := &clerk{}
	d := asking(c, 80, 24, asks(passwordQuestion()), Options{})
	d.keys("Q").write("half").keys("ctrl+o")
	if len(c.take()) != 0 || d.Model.screen != screenJobs || d.asking.fields != nil {
		t.Error("later is no answer")
	}
	d.keys("Q", "esc")
	if got := c.take(); !slices.Equal(got, []string{"decline 7"}) || d.Model.screen != screenJobs {
		t.Errorf("%q", got)
	}
	if !strings.Contains(d.text(), "200 nodes stay needs-auth") {
		t.Errorf("\n%s", d.text())
	}
}

// Host keys: one, all tagged, none; those that changed never.
func TestAcceptHostKeys(t *testing.T) {
	c := &clerk{}
	d := asking(c, 120, 40, asks(), Options{})
	d.keys("Q")
	for _, want := range []string{"CHANGED", printThree, "/home/ann/.ssh/known_hosts:12", "2 hosts with one key", "reinstalled"} {
		if !strings.Contains(d.text(), want) {
			t.Errorf("no %q in\n%s", want, d.text())
		}
	}
	d.keys("y", "space", "enter")
	if len(c.take()) != 0 || !strings.Contains(d.text(), "never accepted here") {
		t.Errorf("a changed key:\n%s", d.text())
	}
	// One host.
	d.keys("G", "enter", "enter") // Enter by itself does nothing
	if len(c.take()) != 0 {
		t.Error("Enter accepted")
	}
	d.keys("y")
	if got := c.take(); !slices.Equal(got, []string{"trust new3 " + printTwo}) {
		t.Errorf("%q", got)
	}
	if !strings.Contains(d.text(), "1 host key accepted") {
		t.Errorf("\n%s", d.text())
	}
	// More than one: the count is typed.
	d.keys("*", "enter", "y", "2", "enter")
	if len(c.take()) != 0 || !strings.Contains(d.text(), "type 3, the number of hosts") {
		t.Errorf("\n%s", d.text())
	}
	d.keys("3", "enter")
	if got := c.take(); !slices.Equal(got, []string{"trust new1 " + printOne, "trust new2 " + printOne, "trust new3 " + printTwo}) {
		t.Errorf("%q", got)
	}
	c.err = errors.New("disk full")
	d.keys("g", "down", "enter", "2", "enter")
	if c.take(); !strings.Contains(d.text(), "0 of 2 accepted: disk full") {
		t.Errorf("\n%s", d.text())
	}
	// None.
	d.keys("*", "enter", "esc", "esc")
	if len(c.take()) != 0 || d.Model.screen != screenJobs {
		t.Error("Esc accepted")
	}
}

// When the last key that can be accepted is, what else is asked comes by itself; a question that is gone while one confirms does no harm.
func TestAfterHostKeys(t *testing.T) {
	c := &clerk{}
	d := asking(c, 80, 24, asks(), Options{})
	d.keys("Q", "*", "enter", "3", "enter")
	if got := c.take(); len(got) != 3 {
		t.Errorf("%q", got)
	}
	s := asks()
	s.Questions = []fleet.Question{s.Questions[0], passwordQuestion()}
	if d.then(s); !strings.Contains(d.text(), "password of ann@gpu001") {
		t.Errorf("\n%s", d.text())
	}
	d.keys("tab", "enter")
	s.Questions = nil
	d.then(s)
	d.must(t)
	if d.keys("enter", "space", "*", "y"); len(c.take()) != 0 {
		t.Error("something was accepted")
	}
}

// A paused screen asks all the same.
func TestAskWhilePaused(t *testing.T) {
	c := &clerk{}
	s := asks()
	s.Questions = nil
	d := asking(c, 80, 24, s, Options{})
	d.keys("Z")
	d.then(asks(passwordQuestion()))
	if !strings.Contains(d.text(), "1 question: press Q") {
		t.Errorf("\n%s", d.text())
	}
	d.keys("Q").write("right").keys("enter")
	if got := c.take(); !slices.Equal(got, []string{`answer 7.1 ["right"]`}) {
		t.Errorf("%q", got)
	}
}
