package collectors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

// ReaderVar is the environment variable that names the NVML reader's file; without it the reader is looked for beside the collector.
const ReaderVar = "FORETOP_NVML"

// RootVar is the environment variable that names another folder for "/", for nodes that play a machine.
const RootVar = "FORETOP_ROOT"

const (
	readerName  = "foretop-nvml"
	memoryLimit = 32 << 20
	niceness    = 10
)

// Main is the node program: it speaks the stream on standard input and output until it is told to end, and gives the exit status.
// For that it takes no arguments: what it needs comes in the environment and in control frames. With arguments it is a tool beside the stream, and touches nothing
// but what they name: --version; signal SIG PID:START…, sends a signal to these very processes; stacks PID:START…, says where they are.
func Main(args []string) int {
	if len(args) == 1 && args[0] == "--version" {
		fmt.Println("foretop-collector", version())
		return 0
	}
	if len(args) > 0 {
		switch args[0] {
		case "signal":
			return mainSignal(args[1:], os.Stdout, os.Stderr)
		case "stacks":
			return mainStacks(args[1:], os.Stdout, os.Stderr)
		}
		fmt.Fprintf(os.Stderr, "foretop-collector: unknown argument %q\n", args[0])
		return 2
	}
	beLean()
	runtime.GOMAXPROCS(1)
	debug.SetMemoryLimit(memoryLimit)
	debug.SetGCPercent(50)
	beModest()
	reader := readerPath()
	os.Chdir("/") // no folder is kept from being unmounted
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // a write to a closed pipe is an error like others
	err := Run(ctx, os.Stdin, os.Stdout, Options{Root: kernfs.Root(os.Getenv(RootVar)), Nonce: os.Getenv(telemetry.NonceVar), Build: version(), Reader: reader})
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, io.EOF) {
		return 0
	}
	fmt.Fprintln(os.Stderr, "foretop-collector:", err)
	return 1
}

// readerPath finds the NVML reader: it is looked for before the folder is left.
func readerPath() string {
	if p := os.Getenv(ReaderVar); p != "" {
		if abs, err := filepath.Abs(p); err == nil {
			return abs
		}
		return p
	}
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	p := filepath.Join(filepath.Dir(self), readerName)
	if _, err := os.Stat(p); err != nil {
		return ""
	}
	return p
}

// version is the revision that the program was built from, where the build says it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return info.Main.Version
}
