package findings

import "foretop/fleet"

const (
	fine     = fleet.Fine
	notice   = fleet.Notice
	warning  = fleet.Warning
	critical = fleet.Critical

	hardware    = fleet.Hardware
	driver      = fleet.Driver
	application = fleet.Application
	environment = fleet.Environment
	unclear     = fleet.CauseUnknown
)

// kernelTables are all rules. Within a table the first that fits decides.
func kernelTables() [][]rule {
	return [][]rule{nvidiaRules, acceleratorRules, memoryRules, hostRules, machineRules, pcieRules, diskRules, filesystemRules, remoteRules, networkRules, mlx5Rules, nicRules}
}

// What to do, where several rules say the same.
const (
	doResetGPU    = "drain the node and reset the GPU; service it if that comes again"
	doReboot      = "drain and reboot the node; if it comes again, check power, seating and riser, then replace it"
	doReseat      = "drain the node; check cable, seating and slot"
	doReplaceDisk = "move data off it, and replace the disk"
	doCheckCable  = "check cable, transceiver and the switch's port"
	doStacks      = "look at stacks of what hangs: storage, a network file system, or a driver"
	doReportApp   = "look into the application; the node is fine"
	doRemount     = "drain the node; check the disk below, repair the file system, mount it again"
	doServers     = "check the servers and the network to them; processes wait until they answer"
	doReload      = "drain the node and load the driver anew; reboot where that does not help"
	doMemory      = "watch the count; drain the node and replace the memory module when it grows"
	doAttended    = "none, unless it comes again"
)

// nvidiaRules are NVIDIA's drivers: nvidia, nvidia-nvswitch, nvidia-modeset, nvidia-peermem.
var nvidiaRules = []rule{
	{"xid", bare, "NVRM: Xid (*", warning, unclear, "", "", readXid},
	{"sxid", bare, "nvidia-<dev>: SXid (PCI:<pci>): <n>, <x>", warning, hardware, "", "", readSXid},
	{"gpu", bare, "NVRM: GPU <pci>: GPU has fallen off the bus*", critical, hardware, "GPU: fell off the bus", doReboot, nil},
	{"gpu", bare, "NVRM: The NVIDIA GPU <pci>*fallen off the bus*", critical, hardware, "GPU: fell off the bus", doReboot, nil}, // in one record
	{"gpu", bare, "NVRM: The NVIDIA GPU <pci>*is not supported by*", warning, driver, "GPU: not supported by this driver", "install a driver that knows it", nil},
	{"gpu", bare, "NVRM: The NVIDIA GPU <pci>*", notice, unclear, "GPU: not taken by the driver", doReload, nil}, // or in three
	{"gpu", bare, "NVRM: (PCI ID: *", notice, unclear, "", "", follows},
	{"gpu", bare, "NVRM: fallen off the bus and is not responding*", critical, hardware, "GPU: fell off the bus", doReboot, follows},
	{"gpu", bare, "NVRM: GPU <pci>: RmInitAdapter failed! *", critical, unclear, "GPU: did not initialise", doReload, nil},
	{"gpu", bare, "NVRM: GPU <pci>: rm_init_adapter failed*", critical, unclear, "GPU: did not initialise", doReload, follows},
	{"gpu", bare, "NVRM: RmInitAdapter failed! *", critical, unclear, "GPU: did not initialise", doReload, nil},
	{"gpu", bare, "NVRM: rm_init_adapter failed*", critical, unclear, "GPU: did not initialise", doReload, follows},
	{"gpu", bare, "NVRM: The NVIDIA probe routine failed for *", critical, unclear, "GPU: the driver could not take it", doReload, nil},
	{"gpu", bare, "NVRM: API mismatch: *", warning, driver, "NVIDIA driver: its parts are of different versions", "install one version of driver and libraries; restart what still uses the old", nil},
	{"gpu", bare, "NVRM: Rate limiting GSP RPC error prints for GPU at PCI:<pci> *", warning, driver, "GPU: GSP errors no longer printed, silence says nothing", doResetGPU, nil},
	{"gpu", bare, "NVRM: *Assertion failed*", notice, driver, "NVIDIA driver: an assertion failed", "tell NVIDIA, with nvidia-bug-report.sh, if trouble goes with it", nil},
	{"gpu", bare, "nvidia-modeset: ERROR: *", notice, driver, "nvidia-modeset: error", doAttended, nil},
	{"gpu", bare, "nvidia-peermem <x>:<n> ERROR *", warning, driver, "nvidia-peermem: error in $x", "restart the job; load nvidia-peermem anew where RDMA on GPU memory fails", nil},
}

// acceleratorRules are other accelerators' drivers.
var acceleratorRules = []rule{
	{"gpu", bare, "[drm:amdgpu_job_timedout*] *ERROR* Process information: process <comm> pid <pid> *", warning, unclear, "", "", follows},
	{"gpu", bare, "[drm:amdgpu_job_timedout*] *ERROR* ring <dev> timeout*", warning, unclear, "amdgpu: ring $dev timed out", "restart the application; " + doResetGPU, nil},
	{"gpu", bare, "[drm:amdgpu*] *ERROR* *", notice, driver, "amdgpu: error", doAttended, nil},
	{"gpu", "amdgpu", "amdgpu: ring <dev> timeout*", warning, unclear, "amdgpu: ring $dev timed out", "restart the application; " + doResetGPU, nil},
	{"gpu", "amdgpu", "amdgpu: Process information: process <comm> pid <pid> *", warning, unclear, "", "", follows},
	{"gpu", "amdgpu", "amdgpu: Process <comm> pid <pid> *", warning, unclear, "", "", follows},
	{"gpu", "amdgpu", "amdgpu: GPU reset begin!*", warning, unclear, "amdgpu: GPU reset", "restart the application; service the GPU if it comes again", nil},
	{"gpu", "amdgpu", "amdgpu: GPU reset(<n>) succeeded!*", notice, unclear, "", "", follows},
	{"gpu", "amdgpu", "amdgpu: GPU reset end with ret = *", critical, unclear, "amdgpu: GPU reset failed", doReboot, readAMDReset},
	{"gpu", "amdgpu", "amdgpu: VRAM is lost due to GPU reset!*", critical, unclear, "amdgpu: memory lost in a reset", "restart the application", nil},
	{"gpu", "amdgpu", "amdgpu: *device lost from bus*", critical, hardware, "amdgpu: fell off the bus", doReboot, nil},
	{"gpu", "amdgpu", "amdgpu: * uncorrectable hardware errors detected in *", critical, hardware, "amdgpu RAS: uncorrectable memory errors", doResetGPU, nil},
	{"gpu", "amdgpu", "amdgpu: * correctable hardware errors detected in *", notice, hardware, "amdgpu RAS: correctable memory errors", "none; watch the count", nil},
	{"gpu", "amdgpu", "amdgpu: *uncorrectable error*", critical, hardware, "amdgpu RAS: uncorrectable error", doResetGPU, nil},
	{"gpu", "amdgpu", "amdgpu: *RAS poison*", warning, hardware, "amdgpu RAS: poisoned memory was used", "restart the application", nil},
	{"gpu", "amdgpu", "amdgpu: *page fault (src_id:* for process <comm> pid <pid> *", notice, application, "amdgpu: memory page fault", doReportApp, nil},
	{"gpu", "amdgpu", "amdgpu: *page fault (src_id:*", notice, application, "amdgpu: memory page fault", doReportApp, nil},
	{"gpu", "amdgpu", "amdgpu: *over temperature range*", critical, environment, "amdgpu: too hot", "check cooling", nil},
	{"gpu", "amdgpu", "amdgpu: *Critical Temperature Fault*", critical, environment, "amdgpu: too hot", "check cooling", nil},
	{"gpu", "amdgpu", "amdgpu: The cp might be in an unrecoverable state*", critical, driver, "amdgpu: queues cannot be preempted", doResetGPU, nil},
	{"gpu", "amdgpu", "amdgpu: SMU: *not done with your previous command*", warning, driver, "amdgpu: SMU does not answer", doResetGPU, nil},

	{"gpu", "i915", "[drm] GPU HANG: ecode *, in <comm> [<pid>]*", warning, unclear, "i915: GPU hang", "restart the application; " + doResetGPU, nil},
	{"gpu", "i915", "[drm] GPU HANG: *", warning, unclear, "i915: GPU hang", "restart the application; " + doResetGPU, nil},
	{"gpu", "i915", "[drm] *esetting <x> for *", warning, unclear, "i915: engine reset", doAttended, follows},
	{"gpu", "i915", "[drm] *reset failed*", critical, unclear, "i915: reset failed", doReboot, nil},
	{"gpu", "i915", "[drm] *Failed to reset chip*", critical, unclear, "i915: reset failed", doReboot, nil},
	{"gpu", "xe", "[drm] *has declared device * as wedged*", critical, unclear, "xe: the driver gave the GPU up", "bind the driver anew, or reboot the node", nil},
	{"gpu", "xe", "[drm] *imedout job: * in <comm> [<pid>]*", warning, unclear, "xe: a job timed out", "restart the application; " + doResetGPU, nil},
	{"gpu", "xe", "[drm] *imedout job: *", warning, unclear, "xe: a job timed out", "restart the application; " + doResetGPU, nil},
	{"gpu", "xe", "[drm] *Engine reset: engine_class=*", warning, unclear, "xe: engine reset", doAttended, nil},
	{"gpu", "xe", "[drm] *reset failed*", critical, unclear, "xe: reset failed", doReboot, nil},
	{"gpu", "xe", "[drm] *reset started*", warning, unclear, "xe: GPU reset", doAttended, nil},
	{"gpu", "xe", "[drm] *reset done*", notice, unclear, "", "", follows},

	{"gpu", "habanalabs accel", "*Failed to reset! Device is NOT usable*", critical, unclear, "Gaudi: not usable, its reset failed", doReboot, nil},
	{"gpu", "habanalabs accel", "*Consecutive fatal errors, stopping hard reset*", critical, hardware, "Gaudi: fatal errors again after a reset", doReboot, nil},
	{"gpu", "habanalabs accel", "*evice heartbeat failed*", critical, unclear, "Gaudi: does not answer", doResetGPU, nil},
	{"gpu", "habanalabs accel", "Going to reset device*", warning, unclear, "Gaudi: reset", "restart the application; service it if it comes again", nil},
	{"gpu", "habanalabs accel", "Successfully finished resetting the *", notice, unclear, "", "", follows},
	{"gpu", "habanalabs accel", "Received H/W interrupt <n> *", warning, hardware, "Gaudi: hardware error", "restart the application; " + doResetGPU, nil},
}
