// Package payload holds the programs that foretop puts on nodes: the collector and, for nodes with an NVIDIA driver, its
// NVML reader. `make` embeds them, gzip-compressed, one a platform; built without them there is only the running
// executable, which serves nodes of its own platform as `foretop collect`. Everything is named by its SHA-256.
//
// The package reads; it never writes a file. Its caller is sshpool.
package payload

import (
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// Platform is a system that a program runs on, in Go's words.
type Platform struct{ OS, Arch string }

func (p Platform) String() string { return p.OS + "/" + p.Arch }

// Here is the platform that this program runs on.
func Here() Platform { return Platform{runtime.GOOS, runtime.GOARCH} }

// FromUname maps what `uname -s` and `uname -m` print to Go's words; unknown words are kept as they are.
func FromUname(system, machine string) Platform {
	p := Platform{OS: strings.ToLower(system), Arch: machine}
	switch machine {
	case "x86_64":
		p.Arch = "amd64"
	case "aarch64":
		p.Arch = "arm64"
	}
	return p
}

// Uname gives what `uname -s` and `uname -m` print on a platform, the other way round.
func (p Platform) Uname() (system string, machines []string) {
	system = p.OS
	switch p.OS {
	case "linux":
		system = "Linux"
	case "darwin":
		system = "Darwin"
	}
	switch p.Arch {
	case "amd64":
		return system, []string{"x86_64", "amd64"}
	case "arm64":
		return system, []string{"aarch64", "arm64"}
	}
	return system, []string{p.Arch}
}

// Bundle is what one platform gets.
type Bundle struct {
	Platform  Platform
	Collector *File
	Args      string // what the collector is called with, plain shell words; empty for foretop-collector
	Reader    *File  // the NVML reader; nil: none built in
}

// Set is the programs that this foretop can put on nodes.
type Set struct {
	load func() ([]*Bundle, error)

	once    sync.Once
	bundles []*Bundle
	err     error
}

// Embedded is the set of this build: what `make` put in, else the running executable for its own platform.
func Embedded() *Set {
	return &Set{load: func() ([]*Bundle, error) {
		bundles, err := fromFolder(embedded)
		if err != nil || len(bundles) > 0 {
			return bundles, err
		}
		own, err := Running("collect")
		if err != nil {
			return nil, err
		}
		return []*Bundle{own}, nil
	}}
}

// Running is the running executable as a bundle, called with args.
func Running(args string) (*Bundle, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find running executable: %w", err)
	}
	f, err := FromPath("foretop", path)
	if err != nil {
		return nil, err
	}
	return &Bundle{Platform: Here(), Collector: f, Args: args}, nil
}

// Of is a set of given bundles.
func Of(bundles ...*Bundle) *Set {
	return &Set{load: func() ([]*Bundle, error) { return bundles, nil }}
}

// Bundles gives all platforms' bundles. The first call reads and hashes them (about 100 ms); later ones are free.
func (s *Set) Bundles() ([]*Bundle, error) {
	s.once.Do(func() { s.bundles, s.err = s.load() })
	return s.bundles, s.err
}

// For gives a platform's bundle, or nil when there is none.
func (s *Set) For(p Platform) (*Bundle, error) {
	bundles, err := s.Bundles()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(bundles, func(b *Bundle) bool { return b.Platform == p })
	if i < 0 {
		return nil, nil
	}
	return bundles[i], nil
}

// fromFolder reads NAME-OS-ARCH.gz files; a platform without a collector is left out.
func fromFolder(dir fs.FS) ([]*Bundle, error) {
	var bundles []*Bundle
	for _, p := range []Platform{{"linux", "amd64"}, {"linux", "arm64"}} {
		suffix := "-" + p.OS + "-" + p.Arch + ".gz"
		collector, err := fromPacked(dir, "foretop-collector", "foretop-collector"+suffix)
		if err != nil {
			return nil, err
		}
		if collector == nil {
			continue
		}
		reader, err := fromPacked(dir, "foretop-nvml", "foretop-nvml"+suffix)
		if err != nil {
			return nil, err
		}
		bundles = append(bundles, &Bundle{Platform: p, Collector: collector, Reader: reader})
	}
	return bundles, nil
}
