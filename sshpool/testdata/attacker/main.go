// Attacker plays another user of a node, in the tests of sshpool: as fast as it can it puts links, folders and programs of its own where the collector's folder is, or moves
// that aside, until its stdin ends; then it prints how many of its moves the system let it make.
//
//	attacker VICTIM-UID PROGRAM-NAME LOOT CANARY FOLDER...
//
// LOOT is a folder in which its program leaves a file when it is run; CANARY is a file of the victim that must not change.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
)

func main() {
	uid, program, loot, canary, folders := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5:]
	evil := "#!/bin/sh\n: >" + loot + "/ran-$$-by-$(id -u)\n"
	nest := filepath.Join(loot, "nest") // a folder of the attacker's with the program in it
	_ = os.Mkdir(nest, 0o777)
	_ = os.WriteFile(filepath.Join(nest, program), []byte(evil), 0o777)
	var over atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		over.Store(true)
	}()
	moves := 0
	try := func(err error) {
		if err == nil {
			moves++
		}
	}
	for round := 0; !over.Load(); round++ {
		for _, d := range folders {
			switch round % 4 {
			case 0:
				try(os.Symlink(nest, d))
			case 1:
				try(os.Mkdir(d, 0o777))
			case 2:
				try(os.Rename(d, fmt.Sprintf("%s.%d", d, round)))
				try(os.Symlink(nest, d))
			case 3:
				try(os.Remove(d))
				try(os.Mkdir(d, 0o700))
				_ = os.Chmod(d, 0o777)
			}
			try(os.WriteFile(filepath.Join(d, program), []byte(evil), 0o777))
			for _, name := range temporary(uid) {
				try(os.Symlink(canary, filepath.Join(d, name)))
			}
		}
	}
	fmt.Println(moves)
}

// temporary are the names that the victim's running scripts will make: process ids and nonces can be read from their command lines.
func temporary(uid string) (names []string) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		status, err := os.ReadFile(dir + "/status")
		if err != nil || !strings.Contains(string(status), "\nUid:\t"+uid+"\t") {
			continue
		}
		line, _ := os.ReadFile(dir + "/cmdline")
		_, rest, ok := strings.Cut(string(line), "FORETOP_NONCE=")
		if !ok {
			continue
		}
		nonce, _, _ := strings.Cut(rest, ";")
		for _, kind := range []string{"up", "x", "i"} {
			names = append(names, "."+kind+"."+filepath.Base(dir)+"."+nonce)
		}
	}
	return names
}
