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
	MaxParts     = 512
	MaxLinks     = 1024
	MaxCalls     = 128
	MaxProcesses = 4096
	MaxText      = 300 // bytes of a reason
	MaxWord      = 96  // bytes of a name
)

// Inventory is what the driver knows of this node's GPUs. The index in GPUs is the entity of telemetry.ScopeGPU, and keeps its meaning as
// long as the source lives: a GPU that falls off the bus keeps its place. Those in Parts, Links and Calls are entities as well (ScopeGPUPart, ScopeGPULink
// and ScopeCall), and mean what this inventory says.
type Inventory struct {
	Driver string // 550.90.07
	CUDA   string // newest CUDA that the driver runs: 12.4
	NVML   string
	GPUs   []GPU
	Parts  []Part
	Links  []Link
	Calls  []string // functions of the driver's library that are called
	Unseen []Unseen
}

// GPU is what does not change, or seldom, of one GPU. What the driver does not tell is empty.
type GPU struct {
	UUID              string
	Name              string
	PCI               string // dddd:bb:dd.f, lower case
	Minor             int    // N of /dev/nvidiaN; -1 unknown
	Serial            string
	VBIOS             string
	ComputeCapability string // 9.0
	Architecture      string // Hopper
	BoardPart         string
	Firmware          string // of its GSP
	InfoROM           string // image version
	CPUs              string // near it, as the kernel writes lists
	FabricCluster     string // UUID of its NVLink domain
	Chassis           string // serial of the rack's chassis
	NUMANode          int    // of the GPU's PCI device; -1 unknown
	ModuleID          int    // place on its baseboard; -1 unknown
	FabricClique      uint32
	Slot, Tray        uint32
	MIG               bool   // MIG mode is on
	MemoryBytes       uint64 // total; 0 unknown
	Note              string // why its status is not telemetry.GPUOK
}

// Part is a MIG device: a compute instance of a GPU instance.
type Part struct {
	GPU             int    // index in Inventory.GPUs
	Name            string // the profile: 1g.10gb, 1c.3g.40gb
	UUID            string
	Instance        int // of the GPU
	ComputeInstance int
}

// Link is an NVLink of a GPU.
type Link struct {
	GPU       int // index in Inventory.GPUs
	Link      int
	Remote    string // gpu, switch, cpu; "" unknown
	RemotePCI string // dddd:bb:dd.f, lower case; "" unknown
	Version   int    // of NVLink; 0 unknown
}

// Unseen is a GPU on the PCI bus that the driver does not show to this user.
type Unseen struct{ PCI, Why string }

// Process is one compute process on one GPU. Pids are those of the host's namespace.
type Process struct {
	PID         int
	GPU         int // index in Inventory.GPUs
	Part        int // index in Inventory.Parts plus one; 0 none
	MemoryBytes uint64
	MemoryKnown bool
	GPUInstance int // MIG; -1 none
}

// Event is what the driver reports of a GPU by itself.
type Event struct {
	GPU      int    // index in Inventory.GPUs
	What     string // xid, ecc_double_bit, …; events_dropped: that many more like those before
	Code     uint32 // the Xid
	MonoUS   int64  // when it was heard: CLOCK_MONOTONIC
	Instance int    // MIG GPU instance plus one; 0 none
}
