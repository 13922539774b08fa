package cli

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"foretop/scripts/testbed"
)

// screen is the demo in a real terminal.
type screen struct {
	*testbed.Term
	t    *testing.T
	w, h int
}

// openScreen starts the demo and waits for its live grid: within 3 s, as promised, with the usual slack.
func openScreen(t *testing.T, w, h int, args ...string) *screen {
	t.Helper()
	program := foretopProgram(t)
	started := time.Now()
	s := &screen{testbed.NewTerm(t, w, h, []string{"HOME=" + t.TempDir()}, append([]string{program, "demo"}, args...)...), t, w, h}
	s.WaitFor(`(?s)64 live.*rank 0 GPU 0.* [0-9]+/[0-9]+W`, 20*time.Second)
	if d := time.Since(started); d > 3*time.Second+slack {
		t.Errorf("the grid was live only after %v", d)
	} else {
		t.Logf("%d×%d: 64 nodes live, grid drawn after %v", w, h, d)
	}
	return s
}

// press presses a key, as a person does: not so soon after Escape that both would be one.
func (s *screen) press(key string) {
	s.t.Helper()
	s.Keys(key)
	time.Sleep(70 * time.Millisecond)
}

// whole asserts that the screen is one picture of the size: its views in the second line, its keys in the last, but where an action asks something, which tells them above. An overflow
// would have pushed the head out, and a program that ended leaves an empty screen.
func (s *screen) whole(after string) string {
	s.t.Helper()
	var lines []string
	text := ""
	for range 40 {
		text = s.Screen()
		lines = strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		asks := strings.Contains(text, "Esc leaves") || strings.Contains(text, "Esc: no")
		if len(lines) > 1 && len(lines) <= s.h && strings.Contains(lines[1], "1 Jobs") && (asks || len(lines) == s.h && strings.TrimSpace(lines[s.h-1]) != "") {
			return text
		}
		time.Sleep(50 * time.Millisecond) // between the two halves of a picture, or of another size
	}
	s.t.Fatalf("after %s: %d lines of %d:\n%s", after, len(lines), s.h, text)
	return ""
}

// home goes to the Jobs screen, from wherever.
func (s *screen) home() {
	for range 3 {
		s.press("Escape")
	}
	s.press("1")
	s.press("\\")
}

// tmuxKeys are tmux's names of keys where they differ from the help's.
var tmuxKeys = map[string]string{
	"up": "Up", "down": "Down", "left": "Left", "right": "Right", "pgup": "PgUp", "pgdown": "PgDn", "home": "Home", "end": "End", "enter": "Enter",
	"esc": "Escape", "backspace": "BSpace", "tab": "Tab", "shift+tab": "BTab", "space": "Space", "f1": "F1", "f5": "F5", "f9": "F9", ";": "\\;",
}

func tmuxKey(name string) string {
	if k, ok := tmuxKeys[name]; ok {
		return k
	}
	if k, ok := strings.CutPrefix(name, "ctrl+"); ok {
		return "C-" + k
	}
	return name
}

// isKey tells keys from the other words of the help screen: its shapes and the fields of filters.
func isKey(word string) bool {
	_, named := tmuxKeys[word]
	return named || strings.HasPrefix(word, "ctrl+") || len(word) == 1
}

// helpLine is a line of the help screen: two blanks or more, the keys, two blanks or more, what they do.
var helpLine = regexp.MustCompile(`^ {2,}(\S+(?: \S+){0,2}) {2,}\S`)

// helpKeys reads every key that the help screen tells, all pages of it.
func (s *screen) helpKeys() []string {
	s.t.Helper()
	s.press("?")
	s.WaitFor(`› help`, 10*time.Second)
	var keys []string
	before := ""
	for range 20 {
		body := ""
		for range 20 { // the page that a key leads to may take its time, and the last stays as it is
			text := s.whole("?")
			if body = strings.Join(strings.Split(text, "\n")[2:s.h-1], "\n"); body != before {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		for line := range strings.Lines(body) {
			if m := helpLine.FindStringSubmatch(line); m != nil {
				for _, k := range strings.Fields(m[1]) {
					if len(k) > 1 { // named keys are written Ctrl-r, Shift-Tab, PgUp
						k = strings.Replace(strings.ToLower(k), "-", "+", 1)
					}
					if isKey(k) && !slices.Contains(keys, k) {
						keys = append(keys, k)
					}
				}
			}
		}
		if body == before {
			break
		}
		before = body
		s.press("PgDn")
	}
	s.press("Escape")
	if len(keys) < 30 {
		s.t.Fatalf("the help screen tells %d keys: %v", len(keys), keys)
	}
	return keys
}

// places are the ways from the Jobs screen to every screen there is.
var places = map[string][]string{
	"jobs": nil, "grid": {"Tab"}, "job": {"Enter"}, "nodes": {"2"}, "node": {"2", "Enter"}, "kernel log": {"2", "Enter", "L"}, "help": {"?"},
	"ranks": {"Enter", "Tab", "Tab"}, "job sections": {"Enter", "Tab"}, "log": {"o"}, "users": {"4"}, "run": {"5"}, "waiting": {"p"},
}

func TestTermKeys(t *testing.T) {
	t.Parallel()
	s := openScreen(t, 80, 24)
	keys := s.helpKeys()
	t.Logf("%d keys: %v", len(keys), keys)
	leaves := func(k string) bool { return k == "q" || k == "ctrl+c" }
	for place, way := range places {
		s.home()
		for _, k := range way {
			s.press(tmuxKey(k))
		}
		s.whole("going to " + place)
		for _, k := range keys {
			if leaves(k) {
				continue
			}
			s.Keys(tmuxKey(k))
			s.whole(k + " at " + place)
			if k == "/" { // what follows would be typed into it
				s.press("Escape")
			}
		}
	}
	s.home()
	for _, size := range [][2]int{{200, 60}, {20, 5}, {1, 1}, {400, 10}, {10, 90}, {80, 24}} {
		s.Resize(size[0], size[1])
		time.Sleep(200 * time.Millisecond)
	}
	s.whole("resizing")
	s.press("q")
	s.left(0)
}

// left asserts that the program ended as it should and gave the terminal back.
func (s *screen) left(code int) {
	s.t.Helper()
	if got := s.WaitExit(10 * time.Second); got != code {
		s.t.Errorf("exit code %d, want %d:\n%s", got, code, s.Screen())
	}
	if s.AltScreen() || !s.CursorShown() {
		s.t.Errorf("alternate screen %v, cursor %v", s.AltScreen(), s.CursorShown())
	}
	if text := s.Screen(); strings.Contains(text, "goroutine") || strings.Contains(text, "panic") {
		s.t.Errorf("left behind:\n%s", text)
	}
}

// A walk over all screens of a large terminal, keys and sizes by chance; the seed is told.
func TestTermWalk(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	s := openScreen(t, 200, 60, "--seed", fmt.Sprint(seed%1000))
	keys := s.helpKeys()
	steps := 150
	if soak() {
		steps = 3000
	}
	var walk []string
	for range steps {
		k := keys[random.IntN(len(keys))]
		if k == "q" || k == "ctrl+c" {
			k = "esc"
		}
		walk = append(walk, k)
		s.Keys(tmuxKey(k))
		if random.IntN(25) == 0 {
			s.w, s.h = 60+random.IntN(180), 16+random.IntN(60)
			walk = append(walk, fmt.Sprintf("%d×%d", s.w, s.h))
			s.Resize(s.w, s.h)
		}
		if random.IntN(4) == 0 {
			s.whole(strings.Join(walk, " "))
		}
	}
	s.whole(strings.Join(walk, " "))
	s.press("C-c")
	s.left(0)
}
