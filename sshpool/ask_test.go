package sshpool

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// asked waits for a question that fits.
func asked(t *testing.T, p *Pool, what string, fits func(Question) bool) Question {
	t.Helper()
	limit := time.Now().Add(patience)
	for {
		list := p.Questions()
		for _, q := range list {
			if fits(q) {
				return q
			}
		}
		if time.Now().After(limit) {
			t.Fatalf("no question %s; there are %+v", what, list)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// answerable says that a question can be answered.
func answerable(q Question) bool { return !q.Busy && len(q.Prompts) > 0 }

func reply(t *testing.T, p *Pool, q Question, answers ...string) {
	t.Helper()
	var b [][]byte
	for _, a := range answers {
		b = append(b, []byte(a))
	}
	if err := p.Answer(q.ID, q.Round, b); err != nil {
		t.Fatal(err)
	}
}

// unasked waits until nothing is asked.
func unasked(t *testing.T, p *Pool) {
	t.Helper()
	limit := time.Now().Add(patience)
	for len(p.Questions()) > 0 {
		if time.Now().After(limit) {
			t.Fatalf("still asked: %+v", p.Questions())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// passwords is a server that lets in by a password, and counts what it is given.
func passwords(t *testing.T, right string) (s *server, tried *atomic.Int32) {
	s = newServer(t, collect)
	tried = new(atomic.Int32)
	s.change(func(c *ssh.ServerConfig) {
		c.PublicKeyCallback = nil
		c.PasswordCallback = func(_ ssh.ConnMetadata, b []byte) (*ssh.Permissions, error) {
			if tried.Add(1); string(b) == right {
				return nil, nil
			}
			return nil, errors.New("no")
		}
	})
	return s, tried
}

// asks is how to reach a server with nothing but what a person gives.
func (s *server) askResolved(alias string) *Resolved {
	r := s.resolved(nil)
	r.Signers, r.Alias = nil, alias
	return r
}

// A wrong password costs one attempt at one host, however many wait; the right one is tried on one, then used for all, and again after a cut.
func TestPasswordOfManyHosts(t *testing.T) {
	const hosts = 200
	p, rec := newTestPool(t, Config{Ask: true})
	servers := make([]*server, hosts)
	counts := make([]*atomic.Int32, hosts)
	total := func() (n int32) {
		for _, c := range counts {
			n += c.Load()
		}
		return n
	}
	for i := range hosts {
		servers[i], counts[i] = passwords(t, "right")
	}
	for i := range hosts {
		name := "n" + strconv.Itoa(i)
		p.Add(Target{Name: name, Resolved: servers[i].askResolved(name)})
	}
	all := func(q Question) bool { return len(q.Nodes) == hosts && answerable(q) }
	q := asked(t, p, "that all wait for", all)
	if q.Kind != AskPassword || q.User != "u" || len(p.Questions()) != 1 {
		t.Errorf("%+v", p.Questions())
	}
	st, _ := rec.reached("n7", NeedsAuth, 0)
	if !strings.Contains(st.Cause, "asks for a password") || !st.NextTry.IsZero() {
		t.Errorf("%+v", st)
	}
	reply(t, p, q, "wrong")
	q = asked(t, p, "again", func(q Question) bool { return q.Tries == 1 && all(q) })
	if n := total(); n != 1 || !strings.Contains(q.Words, "not taken by n") {
		t.Errorf("%d attempts, words %q", n, q.Words)
	}
	if err := p.Answer(q.ID, q.Round-1, [][]byte{[]byte("late")}); !errors.Is(err, ErrQuestionOther) {
		t.Errorf("an answer to what was asked before: %v", err)
	}
	reply(t, p, q, "right")
	for i := range hosts {
		rec.reached("n"+strconv.Itoa(i), Live, 0)
	}
	if n := total(); n != hosts+1 {
		t.Errorf("%d attempts for %d hosts", n, hosts)
	}
	unasked(t, p)

	// What was taken serves after a cut; when it is not any more, one host says so, and the person is asked again.
	_, at := rec.reached("n3", Live, 0)
	servers[3].cut()
	rec.reached("n3", Live, at)
	p.asks.mu.Lock()
	p.asks.fresh = 0
	p.asks.mu.Unlock()
	before := total()
	for _, s := range servers {
		s.change(func(c *ssh.ServerConfig) {
			c.PasswordCallback = func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) {
				counts[0].Add(1)
				return nil, errors.New("changed")
			}
		})
	}
	for _, s := range servers {
		s.cut()
	}
	q = asked(t, p, "when the password was changed", all)
	if n := total() - before; n != 1 {
		t.Errorf("%d attempts with a password that was changed", n)
	}
	if !strings.Contains(q.Words, "not taken any more") {
		t.Errorf("words %q", q.Words)
	}
}

// cut ends all connections of a server that goes on listening.
func (s *server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

func TestWrongTooOftenAndDeclined(t *testing.T) {
	s, tried := passwords(t, "right")
	p, rec := newTestPool(t, Config{Ask: true})
	r := s.askResolved("n")
	r.Prompts = 2
	p.Add(Target{Name: "n", Resolved: r})
	reply(t, p, asked(t, p, "first", answerable), "a")
	reply(t, p, asked(t, p, "second", func(q Question) bool { return answerable(q) && q.Tries == 1 }), "b")
	unasked(t, p)
	rec.until("given up", func() bool {
		list := rec.statuses["n"]
		last := list[len(list)-1]
		return last.State == NeedsAuth && strings.Contains(last.Cause, "no answer that u@127.0.0.1 takes") && last.NextTry.IsZero()
	})
	if n := tried.Load(); n != 2 {
		t.Errorf("%d attempts", n)
	}
	p.Retry("n")
	q := asked(t, p, "after retry", answerable)
	p.Decline(q.ID)
	unasked(t, p)
	rec.until("declined", func() bool {
		list := rec.statuses["n"]
		last := list[len(list)-1]
		return last.State == NeedsAuth && strings.Contains(last.Remedy, "retry to be asked again")
	})
	if err := p.Answer(q.ID, q.Round, [][]byte{[]byte("right")}); !errors.Is(err, ErrQuestionGone) {
		t.Errorf("answer to a question that was declined: %v", err)
	}
	if n := tried.Load(); n != 2 {
		t.Errorf("%d attempts", n)
	}
	p.Retry("n")
	reply(t, p, asked(t, p, "once more", answerable), "right")
	rec.reached("n", Live, 0)
}

// A host with another password than its fellows is asked for apart from them.
func TestHostApart(t *testing.T) {
	p, rec := newTestPool(t, Config{Ask: true})
	var tried [5]*atomic.Int32
	for i := range 5 {
		var s *server
		right := "right"
		if i == 4 {
			right = "other"
		}
		s, tried[i] = passwords(t, right)
		name := "n" + strconv.Itoa(i)
		p.Add(Target{Name: name, Resolved: s.askResolved(name)})
		if i == 3 {
			reply(t, p, asked(t, p, "of four", func(q Question) bool { return answerable(q) && len(q.Nodes) == 4 }), "right")
			for j := range 4 {
				rec.reached("n"+strconv.Itoa(j), Live, 0)
			}
		}
	}
	q := asked(t, p, "of the fifth", answerable)
	if q.Host != "n4" || len(q.Nodes) != 1 {
		t.Errorf("%+v", q)
	}
	reply(t, p, q, "other")
	rec.reached("n4", Live, 0)
	if n := tried[4].Load(); n != 2 {
		t.Errorf("%d attempts at the fifth", n)
	}
}

// A passphrase opens its key for all that would take it. A wrong one costs no attempt anywhere.
func TestPassphrase(t *testing.T) {
	path, key := keyOnDisk(t, t.TempDir(), "id_locked", "secret")
	s := newServer(t, collect, key.PublicKey())
	p, rec := newTestPool(t, Config{Ask: true})
	for i := range 5 {
		r := s.askResolved("n" + strconv.Itoa(i))
		r.IdentityFiles = []string{path}
		p.Add(Target{Name: r.Alias, Resolved: r})
	}
	all := func(q Question) bool { return answerable(q) && len(q.Nodes) == 5 }
	q := asked(t, p, "of the key", all)
	if q.Kind != AskPassphrase || q.File != path {
		t.Errorf("%+v", q)
	}
	reply(t, p, q, "wrong")
	q = asked(t, p, "again", func(q Question) bool { return all(q) && q.Tries == 1 })
	if s.count() != 0 {
		t.Error("somebody logged in")
	}
	reply(t, p, q, "secret")
	for i := range 5 {
		rec.reached("n"+strconv.Itoa(i), Live, 0)
	}
	_, at := rec.reached("n0", Live, 0)
	s.cut()
	rec.reached("n0", Live, at)
	unasked(t, p)
}

// codes is a server that asks for a password and then a code that is good once, as two rounds.
type codes struct {
	mu    sync.Mutex
	code  string
	asked []string // prompts, as they were sent
}

func (k *codes) serve(s *server, partial bool) {
	s.change(func(c *ssh.ServerConfig) {
		ask := func(m ssh.ConnMetadata, challenge ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			for _, round := range []struct {
				prompt string
				right  func(string) bool
			}{
				{"Password: ", func(a string) bool { return a == "right" }},
				{"Verification code:\x1b[2J ", func(a string) bool {
					k.mu.Lock()
					defer k.mu.Unlock()
					ok := a == k.code
					k.code = ""
					return ok
				}},
			} {
				k.mu.Lock()
				k.asked = append(k.asked, round.prompt)
				k.mu.Unlock()
				answers, err := challenge("", "Be \x07welcome", []string{round.prompt}, []bool{false})
				if err != nil {
					return nil, err
				}
				if len(answers) != 1 || !round.right(answers[0]) {
					return nil, errors.New("wrong")
				}
			}
			return nil, nil
		}
		if !partial {
			c.PublicKeyCallback, c.KeyboardInteractiveCallback = nil, ask
			return
		}
		c.PublicKeyCallback = func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
			return nil, &ssh.PartialSuccessError{Next: ssh.ServerAuthCallbacks{KeyboardInteractiveCallback: ask}}
		}
	})
}

func (k *codes) prompts() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.asked)
}

func (k *codes) set(code string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.code = code
}

// Two hosts with a password and a one-time code: one conversation at a time, the password is kept, the code is not, and after a cut nothing begins by itself.
func TestOneTimeCodes(t *testing.T) {
	for _, partial := range []bool{false, true} {
		t.Run(fmt.Sprintf("after a key %v", partial), func(t *testing.T) {
			k := &codes{}
			s := newServer(t, collect)
			k.serve(s, partial)
			p, rec := newTestPool(t, Config{Ask: true})
			key := newSigner(t)
			for i := range 2 {
				r := s.askResolved("n" + strconv.Itoa(i))
				if partial {
					r.Signers = []ssh.Signer{key}
				}
				p.Add(Target{Name: r.Alias, Resolved: r})
			}
			q := asked(t, p, "before it begins", func(q Question) bool { return len(q.Nodes) == 2 && !q.Busy })
			if q.Kind != AskInteractive || len(q.Prompts) != 0 || k.prompts() != 0 {
				t.Errorf("%+v, %d prompts", q, k.prompts())
			}
			p.Begin(q.ID)
			q = asked(t, p, "password", answerable)
			if q.Prompts[0].Text != "Password: " || q.Prompts[0].Echo || strings.ContainsAny(q.Text, "\x07") {
				t.Errorf("%+v", q)
			}
			k.set("111111")
			reply(t, p, q, "right")
			q = asked(t, p, "code", func(q Question) bool {
				return answerable(q) && strings.Contains(q.Prompts[0].Text, "Verification code")
			})
			if strings.ContainsRune(q.Prompts[0].Text, 0x1b) {
				t.Errorf("%q", q.Prompts[0].Text)
			}
			reply(t, p, q, "000000") // wrong: over the same connection once more
			q = asked(t, p, "once more", func(q Question) bool { return answerable(q) && q.Tries == 1 })
			if q.Prompts[0].Text != "Password: " {
				t.Errorf("%+v", q)
			}
			k.set("222222")
			reply(t, p, q, "right")
			reply(t, p, asked(t, p, "code", func(q Question) bool { return answerable(q) && strings.Contains(q.Prompts[0].Text, "code") }), "222222")
			q = asked(t, p, "of the other host", func(q Question) bool { return len(q.Nodes) == 1 && !q.Busy })
			before := k.prompts()
			k.set("333333")
			p.Begin(q.ID)
			q = asked(t, p, "code of the other", answerable) // its password is known
			if !strings.Contains(q.Prompts[0].Text, "code") || k.prompts() != before+2 {
				t.Errorf("%+v", q)
			}
			reply(t, p, q, "333333")
			_, at := rec.reached("n0", Live, 0)
			rec.reached("n1", Live, 0)
			unasked(t, p)

			before = k.prompts()
			s.cut()
			rec.reached("n0", NeedsAuth, at)
			q = asked(t, p, "after a cut", func(q Question) bool { return len(q.Nodes) == 2 })
			if k.prompts() != before || len(q.Prompts) != 0 {
				t.Errorf("a conversation began by itself: %+v", q)
			}
		})
	}
}

// While a person types no deadline runs; where the server does not wait, the answer is used on a new connection.
func TestServerDoesNotWait(t *testing.T) {
	s := newServer(t, collect)
	var rounds, right atomic.Int32
	s.change(func(c *ssh.ServerConfig) {
		c.PublicKeyCallback = nil
		c.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, challenge ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			rounds.Add(1)
			answers, err := challenge("", "", []string{"Password: "}, []bool{false})
			if err == nil && len(answers) == 1 && answers[0] == "right" {
				right.Add(1)
				return nil, nil
			}
			return nil, errors.New("no")
		}
	})
	timing := quick()
	timing.Handshake = 500 * time.Millisecond
	p, rec := newTestPool(t, Config{Ask: true, Timing: timing})
	p.Add(Target{Name: "n", Resolved: s.askResolved("n")})
	q := asked(t, p, "at all", func(q Question) bool { return !q.Busy })
	p.Begin(q.ID)
	q = asked(t, p, "password", answerable)
	time.Sleep(700 * time.Millisecond) // longer than a handshake may take
	if got := p.Questions(); len(got) != 1 || got[0].Round != q.Round {
		t.Fatalf("the question went: %+v", got)
	}
	s.cut() // LoginGraceTime
	time.Sleep(50 * time.Millisecond)
	reply(t, p, q, "right")
	rec.reached("n", Live, 0)
	if rounds.Load() != 2 || right.Load() != 1 {
		t.Errorf("%d rounds, %d right", rounds.Load(), right.Load())
	}
}

// What a jump host asks comes before what the nodes behind it do, and its password is not theirs.
func TestJumpHostAsksFirst(t *testing.T) {
	jump, atJump := passwords(t, "jump")
	node, atNode := passwords(t, "node")
	other, _ := passwords(t, "node")
	config, _, _ := writeConfig(t, "User u\n")
	appendFile(t, config, "UserKnownHostsFile "+knownHosts(t, hostLine(jump), hostLine(node), hostLine(other))+"\n")
	appendFile(t, config, fmt.Sprintf("Host jump\n HostName 127.0.0.1\n Port %d\nHost far\n HostName 127.0.0.1\n Port %d\n", jump.port(), other.port()))
	for i := range 10 {
		appendFile(t, config, fmt.Sprintf("Host n%d\n HostName 127.0.0.1\n Port %d\n ProxyJump jump\n", i, node.port()))
	}
	p, rec := newTestPool(t, Config{ConfigFile: config, Ask: true})
	p.Add(Target{Name: "far"})
	asked(t, p, "of a host without a jump", answerable)
	for i := range 10 {
		p.Add(Target{Name: "n" + strconv.Itoa(i)})
	}
	q := asked(t, p, "of the jump host", func(q Question) bool { return answerable(q) && q.Jump && len(q.Nodes) == 10 })
	if list := p.Questions(); len(list) != 2 || list[0].ID != q.ID || q.Host != "jump" {
		t.Errorf("%+v", list)
	}
	st, _ := rec.reached("n3", NeedsAuth, 0)
	if !strings.Contains(st.Cause, "jump host jump: u@127.0.0.1 asks for a password") {
		t.Errorf("%+v", st)
	}
	reply(t, p, q, "jump")
	q = asked(t, p, "of the nodes", func(q Question) bool { return answerable(q) && len(q.Nodes) == 10 && !q.Jump })
	if atNode.Load() != 0 {
		t.Error("a node was given a password before one was typed for it")
	}
	reply(t, p, q, "node")
	for i := range 10 {
		rec.reached("n"+strconv.Itoa(i), Live, 0)
	}
	if atJump.Load() != 1 || atNode.Load() != 10 || jump.count() != 1 {
		t.Errorf("attempts: jump %d, node %d; logins at the jump host %d", atJump.Load(), atNode.Load(), jump.count())
	}
}

// What a server sends for prompts is bounded; what asks for nothing does not hold the next way up.
func TestHostileConversations(t *testing.T) {
	s, tried := passwords(t, "right")
	var ask func(challenge ssh.KeyboardInteractiveChallenge)
	s.change(func(c *ssh.ServerConfig) {
		c.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, challenge ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			ask(challenge)
			return nil, errors.New("no")
		}
	})
	ask = func(ssh.KeyboardInteractiveChallenge) {}
	p, rec := newTestPool(t, Config{Ask: true})
	p.Add(Target{Name: "n", Resolved: s.askResolved("n")})
	q := asked(t, p, "at all", func(q Question) bool { return q.Kind == AskInteractive && !q.Busy })
	p.Begin(q.ID)
	q = asked(t, p, "password, for the conversation asked nothing", func(q Question) bool { return q.Kind == AskPassword && answerable(q) })
	reply(t, p, q, "right")
	rec.reached("n", Live, 0)
	if tried.Load() != 1 {
		t.Errorf("%d attempts", tried.Load())
	}

	many, _ := passwords(t, "right")
	many.change(func(c *ssh.ServerConfig) {
		c.PasswordCallback = nil
		c.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, challenge ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			_, err := challenge(strings.Repeat("t", 5000), strings.Repeat("\x1b]0;x\x07", 5000), make([]string, 40), make([]bool, 40))
			return nil, err
		}
	})
	r := many.askResolved("many")
	r.User = "v"
	p.Add(Target{Name: "many", Resolved: r})
	q = asked(t, p, "of many", func(q Question) bool { return q.User == "v" })
	p.Begin(q.ID)
	rec.reached("many", NeedsAuth, 1)
}

// With nobody to answer all is as it was: NeedsAuth, in words, and no connection is made for nothing.
func TestNobodyToAsk(t *testing.T) {
	s, tried := passwords(t, "right")
	p, rec := newTestPool(t, Config{})
	p.Add(Target{Name: "n", Resolved: s.askResolved("n")})
	st, _ := rec.reached("n", NeedsAuth, 0)
	if !strings.Contains(st.Cause, "no key to offer") && !strings.Contains(st.Cause, "wants password") {
		t.Errorf("%+v", st)
	}
	if len(p.Questions()) != 0 || tried.Load() != 0 {
		t.Errorf("%+v, %d attempts", p.Questions(), tried.Load())
	}
	batch, _ := passwords(t, "right")
	asking, rec2 := newTestPool(t, Config{Ask: true})
	r := batch.askResolved("n")
	r.NoAsk = true
	asking.Add(Target{Name: "n", Resolved: r})
	rec2.reached("n", NeedsAuth, 0)
	if len(asking.Questions()) != 0 {
		t.Errorf("BatchMode: %+v", asking.Questions())
	}
}

func TestWays(t *testing.T) {
	for _, c := range []struct{ g, want string }{
		{"", "publickey keyboard-interactive password"},
		{"passwordauthentication no\n", "publickey keyboard-interactive"},
		{"kbdinteractiveauthentication no\n", "publickey password"},
		{"challengeresponseauthentication no\n", "publickey password"},
		{"preferredauthentications password,publickey\n", "password publickey"},
		{"preferredauthentications gssapi-with-mic,password,password\npasswordauthentication no\n", ""},
		{"pubkeyauthentication false\n", "keyboard-interactive password"},
	} {
		r, err := parseG([]byte("hostname h\nuser u\n"+c.g+"batchmode yes\nnumberofpasswordprompts 2\n"), "h", environment{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(r.ways(), " "); got != c.want || !r.NoAsk || r.Prompts != 2 {
			t.Errorf("%q: %q, NoAsk %v, %d prompts", c.g, got, r.NoAsk, r.Prompts)
		}
	}
}

func TestWorthKeeping(t *testing.T) {
	for text, want := range map[string]bool{
		"Password: ": true, "ann@gpu001's password:": true, "Verification code: ": false, "One-time password (OATH) for `ann': ": false, "Passcode or option (1-3): ": false,
		"New password: ": false, "Current password: ": false, "Enter PASSWORD: ": true, "Token": false, "": false,
	} {
		if got := (Prompt{Text: text}).worthKeeping(); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if (Prompt{"Password: ", true}).worthKeeping() {
		t.Error("what may be seen is kept")
	}
}

// Secrets do not outlive the pool, as far as Go lets.
func TestSecretsAreWiped(t *testing.T) {
	s, _ := passwords(t, "right")
	p, rec := newTestPool(t, Config{Ask: true})
	p.Add(Target{Name: "n", Resolved: s.askResolved("n")})
	q := asked(t, p, "at all", answerable)
	typed := []byte("right")
	if err := p.Answer(q.ID, q.Round, [][]byte{typed}); err != nil {
		t.Fatal(err)
	}
	rec.reached("n", Live, 0)
	unasked(t, p)
	if string(typed) == "right" {
		t.Error("what was typed is still there")
	}
	var inside []byte
	p.asks.mu.Lock()
	for _, k := range p.asks.kept {
		inside = k.answers[""]
	}
	p.asks.mu.Unlock()
	if string(inside) != "right" {
		t.Fatalf("kept %q", inside)
	}
	p.Close()
	if string(inside) == "right" {
		t.Error("what was kept is still there")
	}
}
