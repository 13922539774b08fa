package pipe

// Health is the condition of the source. The numbers are those of facts.SourceState.
type Health uint8

// Conditions.
const (
	Unknown     Health = 0 // nothing was heard yet
	OK          Health = 1
	Unsupported Health = 2 // no driver, no GPU
	Denied      Health = 3 // the driver refuses this user
	Failing     Health = 4
	Stuck       Health = 5 // in a call that does not return
)

// Bounds on what a child may say.
const (
	MaxGPUs      = 64
	MaxProcesses = 4096
	MaxText      = 300 // bytes of a reason
	MaxWord      = 96  // bytes of a name
)

// Inventory is what the driver knows of this node's GPUs. The index in GPUs is the entity of telemetry.ScopeGPU, and keeps its meaning as
// long as the source lives: a GPU that falls off the bus keeps its place.
type Inventory struct {
	Driver string // 550.90.07
	CUDA   string // newest CUDA that the driver runs: 12.4
	NVML   string
	GPUs   []GPU
}

// GPU is what does not change of one GPU.
type GPU struct {
	UUID              string
	Name              string
	PCI               string // dddd:bb:dd.f, lower case
	Minor             int    // N of /dev/nvidiaN; -1 unknown
	Serial            string
	VBIOS             string
	ComputeCapability string // 9.0
	NUMANode          int    // of the GPU's PCI device; -1 unknown
	MIG               bool   // MIG mode is on
	MemoryBytes       uint64 // total; 0 unknown
	Note              string // why its status is not telemetry.GPUOK
}

// Process is one compute process on one GPU. Pids are those of the host's namespace.
type Process struct {
	PID         int
	GPU         int // index in Inventory.GPUs
	MemoryBytes uint64
	MemoryKnown bool
	GPUInstance int // MIG; -1 none
}
