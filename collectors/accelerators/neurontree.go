package accelerators

import (
	"bytes"
	"os"
	"strings"

	"foretop/collectors/kernfs"
	"foretop/telemetry"
)

// neuronTree is where the driver's files of one device are, by their own names and wherever they hang: driver 2.31 moved many of them, and 2.8 renamed
// some (Neuron Sysfs User Guide; neuron_sysfs_metrics.c of aws-neuron-driver). "" and nil: not there.
type neuronTree struct {
	name, arch, instance, serial string
	cores                        []neuronCore
	hostMemory                   []string // bytes in use
	power                        string
	ecc                          []string // uncorrected errors, of DRAM and SRAM
}

// neuronCore are the files of one NeuronCore.
type neuronCore struct {
	index    uint32
	memory   []string // bytes in use, of the device's memory
	failures []string // runs that ended in a way other than success
}

const (
	neuronDepth  = 8
	neuronMost   = 4096 // files and folders of one device that are looked at
	neuronStatus = 64   // ways in which a run may end
)

// walkNeuron finds the files of a device.
func walkNeuron(root kernfs.Root, folder string) neuronTree {
	w := neuronWalk{root: root}
	w.walk(folder, -1, neuronDepth)
	for i, cores := 1, w.tree.cores; i < len(cores); i++ { // few, and nearly in order
		for j := i; j > 0 && cores[j].index < cores[j-1].index; j-- {
			cores[j], cores[j-1] = cores[j-1], cores[j]
		}
	}
	return w.tree
}

type neuronWalk struct {
	root kernfs.Root
	tree neuronTree
	seen int
}

// walk looks through a folder; core is the place in cores of the NeuronCore that it belongs to, -1 for the device's own.
func (w *neuronWalk) walk(folder string, core, depth int) {
	entries, err := os.ReadDir(w.root.Path(folder))
	if err != nil || depth == 0 {
		return
	}
	for _, e := range entries {
		if w.seen++; w.seen > neuronMost {
			return
		}
		path := folder + "/" + e.Name()
		if !e.IsDir() {
			w.file(path, e.Name(), core)
			continue
		}
		if n, ok := numbered(e.Name(), "neuron_core"); ok && core < 0 && len(w.tree.cores) < maxCores {
			w.tree.cores = append(w.tree.cores, neuronCore{index: n})
			w.walk(path, len(w.tree.cores)-1, depth-1)
			continue
		}
		switch {
		case e.Name() == "device_mem" && core >= 0:
			w.tree.cores[core].memory = w.counters(path)
		case e.Name() == "host_mem" && core < 0:
			w.tree.hostMemory = w.counters(path)
		case e.Name() == "status" && core >= 0:
			w.tree.cores[core].failures = w.statuses(path)
		default:
			w.walk(path, core, depth-1)
		}
	}
}

// file takes a file in that is no counter.
func (w *neuronWalk) file(path, name string, core int) {
	if core >= 0 {
		return
	}
	switch name {
	case "device_name":
		w.tree.name = path
	case "arch_type":
		w.tree.arch = path
	case "instance_type":
		w.tree.instance = path
	case "serial_number":
		w.tree.serial = path
	case "utilization":
		w.tree.power = path
	case "mem_ecc_uncorrected", "mem_ecc_repairable_uncorrected", "sram_ecc_uncorrected":
		w.tree.ecc = append(w.tree.ecc, path)
	}
}

// counters gives the files that add up to a kind of memory: its own counter, else those of what it is used for. A counter is a folder; "total" in it is
// what is in use now, "present" is by how much it last changed.
func (w *neuronWalk) counters(folder string) []string {
	if w.root.Exists(folder + "/total") {
		return []string{folder + "/total"}
	}
	var files []string
	names, _ := w.root.Names(folder)
	for _, n := range names {
		if f := folder + "/" + n + "/total"; len(files) < neuronStatus && w.root.Exists(f) {
			files = append(files, f)
		}
	}
	return files
}

func (w *neuronWalk) statuses(folder string) (files []string) {
	names, _ := w.root.Names(folder)
	for _, n := range names {
		if n != "success" && len(files) < neuronStatus {
			files = append(files, folder+"/"+n+"/total")
		}
	}
	return files
}

// readMemory sets how much memory is in use.
func (r *neuronReader) readMemory(now int64) {
	s := &r.reading.State
	for i := range r.devices {
		d, used, all := &r.devices[i], uint64(0), len(r.devices[i].memory) > 0
		at := 0
		for core := range d.tree.cores {
			sum, ok := uint64(0), len(d.tree.cores[core].memory) > 0
			for range d.tree.cores[core].memory {
				v, err := d.memory[at].Number()
				sum, ok = sum+v, ok && err == nil
				at++
			}
			if part := r.first[i] + core; ok {
				s.SetUint(telemetry.PartMemUsedBytes, part, sum)
			} else {
				s.Clear(telemetry.PartMemUsedBytes, part)
			}
			used, all = used+sum, all && ok
		}
		if v, ok := sumFiles(d.host); ok {
			s.SetUint(telemetry.GPUHostMemUsedBytes, i, v)
		}
		switch {
		case len(d.memory) == 0: // neuron-monitor tells, or nobody
		case all:
			s.SetUint(telemetry.GPUMemUsedBytes, i, used)
			s.Set(telemetry.GPUStatus, i, telemetry.GPUOK)
		default:
			s.Clear(telemetry.GPUMemUsedBytes, i)
			s.Clear(telemetry.GPUStatus, i)
		}
	}
	r.reading.FastMS = now
}

func sumFiles(files []*kernfs.File) (sum uint64, ok bool) {
	for _, f := range files {
		v, err := f.Number()
		if err != nil {
			return 0, false
		}
		sum += v
	}
	return sum, len(files) > 0
}

// readSlow sets what hardly changes, or costs the device a register read.
func (r *neuronReader) readSlow(now int64) {
	s := &r.reading.State
	var buf []byte
	sum := func(files []string) (total uint64, ok bool) {
		for _, f := range files {
			v, b, err := r.m.Root.Number(f, buf)
			if buf = b; err == nil {
				total, ok = total+v, true
			}
		}
		return total, ok
	}
	for i := range r.devices {
		tree := &r.devices[i].tree
		if v, ok := sum(tree.ecc); ok {
			s.SetUint(telemetry.GPUECCVolatileUncorrected, i, v)
		}
		var failures []string
		for _, c := range tree.cores {
			failures = append(failures, c.failures...)
		}
		if v, ok := sum(failures); ok {
			s.SetUint(telemetry.GPUExecErrors, i, v)
		}
		s.Clear(telemetry.GPUPowerPermille, i)
		if tree.power != "" {
			if b, err := r.m.Root.Read(tree.power, buf); err == nil {
				if v, ok := parseNeuronPower(b); ok {
					s.SetUint(telemetry.GPUPowerPermille, i, v)
				}
				buf = b
			}
		}
		pciLink(r.m.Root, r.reading.GPUs[i].Pci, s, i)
	}
	r.reading.SlowMS = now
}

// parseNeuronPower reads stats/power/utilization, "POWER_STATUS_VALID,1761000000,12.50,61.25,48.75": least, most and mean power of the last minute in per
// cent of the highest. It gives the mean in thousandths.
func parseNeuronPower(b []byte) (permille uint64, ok bool) {
	fields := bytes.Split(kernfs.Trim(b), []byte{','})
	if len(fields) != 5 || !strings.HasSuffix(string(fields[0]), "_VALID") {
		return 0, false
	}
	v, ok := kernfs.ParseMilli(kernfs.Trim(fields[4]))
	return v / 100, ok && v <= 1_000_000
}
