package main_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What SECURITY.md names as shown by a test is shown by one that is there, and what it says of a file is about one that is there.
func TestSecurityClaimsHaveTests(t *testing.T) {
	text, err := os.ReadFile("SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		tests.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllSubmatch(text, -1)
	if len(named) < 30 {
		t.Errorf("only %d tests are named", len(named))
	}
	for _, n := range named {
		if !strings.Contains(tests.String(), "\nfunc "+string(n[1])+"(") {
			t.Errorf("%s is named, and there is no such test", n[1])
		}
	}
	for _, n := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllSubmatch(text, -1) {
		if _, err := os.Stat(string(n[1])); err != nil {
			t.Errorf("%v", err)
		}
	}
	// Each line of a table of defences says what shows it.
	inTable := false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| what | where | shown by |") {
			inTable = true
			continue
		}
		if !strings.HasPrefix(line, "|") {
			inTable = false
		}
		if inTable && !strings.HasPrefix(line, "|---") && !strings.Contains(line, "`Test") && !strings.Contains(line, "`Fuzz") {
			t.Errorf("nothing shows this: %s", line)
		}
	}
}
