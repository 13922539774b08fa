package export

import (
	"slices"
	"time"

	"foretop/fleet"
)

type kernelDoc struct {
	Time     stamp    `json:"time"`
	First    stamp    `json:"first_time"`
	NodeTime stamp    `json:"node_time"`
	Count    int      `json:"count"`
	Sequence uint64   `json:"sequence"`
	Level    uint32   `json:"level"`
	Text     string   `json:"text"`
	Oldest   word     `json:"oldest_text"`
	More     []string `json:"more_text"`
	ToldBy   string   `json:"told_by"`
	Severity string   `json:"severity"`
	Kind     word     `json:"kind"`
	Meaning  word     `json:"meaning"`
	Detail   word     `json:"detail"`
	Cause    word     `json:"cause"`
	Action   word     `json:"action"`
	Xid      index    `json:"xid"`
	SXid     index    `json:"sxid"`
	Unit     word     `json:"nvlink_unit"`
	Subcode  index    `json:"nvlink_subcode"`
	MIG      index    `json:"mig_gpu_instance"`
	MIGPart  index    `json:"mig_compute_instance"`
	PCI      word     `json:"pci"`
	Device   word     `json:"device"`
	Process  word     `json:"process"`
	PID      index    `json:"pid"`
	Cgroup   word     `json:"cgroup"`
	GPU      index    `json:"gpu"`
}

func kernelOf(l *fleet.KernelLine) kernelDoc {
	c := &l.Class
	d := kernelDoc{
		Time: stamp(l.At), First: stamp(l.Since()), Count: l.N(), Sequence: l.Sequence, Level: l.Level, Text: l.Text, Oldest: word(l.Oldest), More: orEmpty(slices.Clone(l.More)),
		ToldBy: "kernel_log", Severity: c.Severity.String(), Kind: word(c.Kind), Meaning: word(c.Text), Detail: word(c.Detail), Action: word(c.Action),
		Xid: notZero(c.Xid), SXid: notZero(c.SXid), Unit: word(c.Unit), Subcode: -1, MIG: index(c.MIG) - 1, MIGPart: index(c.MIGPart) - 1,
		PCI: word(c.PCI), Device: word(c.Device), Process: word(c.Process), PID: notZero(int(c.PID)), Cgroup: word(c.Cgroup), GPU: index(l.GPU),
	}
	if l.NVML {
		d.ToldBy = "nvml"
	}
	if l.WallUS != 0 {
		d.NodeTime = stamp(time.UnixMicro(l.WallUS))
	}
	if c.Kind != "" {
		d.Cause = word(c.Cause.String())
	}
	if c.Unit != "" {
		d.Subcode = index(c.Subcode)
	}
	return d
}

// notZero is a number that is never 0 where there is one.
func notZero(n int) index {
	if n == 0 {
		return -1
	}
	return index(n)
}
