// Package collectors is what a node says: it reads everything local once a second and streams what changed.
//
// [Run] speaks the stream over a pair of pipes; [Main] is the node program around it. A source is one entry of the table in
// this file: its name, how often it is read, and how it is made. The root of the file system and the clock are values, so tests read fixture trees.
//
// The package reads. It never writes a file, never listens, and connects to nothing but the machine itself (the TPU runtime's metric service, by package
// accelerators; NCCL's RAS, when the front end asks for it); one more socket is bound to nothing and carries no data: it is the handle by which the kernel takes questions to the drivers of network
// interfaces (ioctl SIOCETHTOOL). It starts a program only where a source is one (the NVML reader, nvidia-smi, journalctl, getent, and what package
// accelerators streams). It knows nothing of the front end but the words in package telemetry.
package collectors

import (
	"context"
	"slices"
	"time"

	"foretop/collectors/kernfs"
)

// Source is one entry of the table.
type Source struct {
	Name  string
	Every time.Duration         // how often it is read, at the usual pace of a sample a second
	New   func(*machine) reader // makes the reader; called in the source's own goroutine, so it may block
}

// reader is a source at work. Its calls come from one goroutine.
type reader interface {
	// read takes one reading and puts it on the board. What cannot be read is absent there and told by the error (see errors.go); the rest is there.
	// It returns soon after ctx ends wherever the system lets it.
	read(ctx context.Context) error
	close()
}

// machine is what a source is given.
type machine struct {
	root     kernfs.Root
	clock    Clock
	board    *board
	kernel   *kernelQueue
	sent     func() uint64 // bytes sent so far
	children *children
	procs    *procTable
	users    *users
	options  *Options
}

// Sources is the table of all sources. Its order is that of Inventory.sources.
func Sources() []Source {
	return slices.Concat([]Source{
		{"cpu", time.Second, newCPU},
		{"memory", time.Second, newMemory},
		{"net", time.Second, newNet},
		{"disk", time.Second, newDisk},
		{"filesystem", 30 * time.Second, newFilesystem},
		{"edac", 30 * time.Second, newEDAC},
		{"rdma", time.Second, newRDMA},
		{"nvidia", time.Second, newNVIDIA},
	}, acceleratorSources(), []Source{
		{"kernel_log", time.Second, newKernelLog},
		{"process", 5 * time.Second, newProcess},
		{"usage", 2 * time.Second, newUsage},
		{"host", 10 * time.Minute, newHost},
		{"self", time.Second, newSelf},
	})
}
