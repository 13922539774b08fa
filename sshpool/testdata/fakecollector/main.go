// Fakecollector plays a collector in the tests of sshpool: it says the start line and ticks, and does what its stdin says.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"foretop/telemetry"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "told" {
		fmt.Println(strings.Join(os.Args[1:], " "))
		return
	}
	nonce := os.Getenv(telemetry.NonceVar)
	if nonce == "" {
		os.Exit(2)
	}
	fmt.Print(telemetry.StreamLine(nonce))
	dir, _ := os.Getwd()
	exe, _ := os.Executable()
	fmt.Printf("hello cwd=%s exe=%s nvml=%s args=%s pid=%d\n", dir, exe, os.Getenv("FORETOP_NVML"), strings.Join(os.Args[1:], ","), os.Getpid())
	var silent atomic.Bool
	go func() {
		for i := 0; ; i++ {
			if !silent.Load() {
				if _, err := fmt.Printf("tick %d\n", i); err != nil {
					os.Exit(1)
				}
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "silent":
			silent.Store(true)
		case "talk":
			silent.Store(false)
		case "err":
			fmt.Fprintln(os.Stderr, rest)
		case "exit":
			code, _ := strconv.Atoi(rest)
			os.Exit(code)
		case "echo":
			fmt.Println(rest)
		}
	}
}
