package config

// Recording is what is kept of what was, beside the last minutes in memory.
type Recording struct {
	// Findings has the ten minutes around a critical finding saved by themselves from every screen; `foretop record` does so in any case.
	Findings     bool   `yaml:"findings"`
	Folder       string `yaml:"folder"`        // where; "" foretop/incidents in $XDG_STATE_HOME
	MaxFiles     int    `yaml:"max_files"`     // 0: 20; the oldest go first
	MaxMegabytes int    `yaml:"max_megabytes"` // of all together; 0: 500
	MemoryMiB    int    `yaml:"memory_mib"`    // what the last minutes may take; 0: 160
}

// Bounds of a recording's values.
const (
	maxSavedFiles     = 10_000
	maxSavedMegabytes = 1_000_000
	minRecordingMiB   = 8
	maxRecordingMiB   = 16 << 10
)

func (r Recording) validate() error {
	switch {
	case r.MaxFiles < 0 || r.MaxFiles > maxSavedFiles:
		return wrong("recording.max_files", "%d is not between 1 and %d", r.MaxFiles, maxSavedFiles)
	case r.MaxMegabytes < 0 || r.MaxMegabytes > maxSavedMegabytes:
		return wrong("recording.max_megabytes", "%d is not between 1 and %d", r.MaxMegabytes, maxSavedMegabytes)
	case r.MemoryMiB != 0 && (r.MemoryMiB < minRecordingMiB || r.MemoryMiB > maxRecordingMiB):
		return wrong("recording.memory_mib", "%d is not between %d and %d", r.MemoryMiB, minRecordingMiB, maxRecordingMiB)
	}
	return nil
}

// Files is how many saved files are kept at most.
func (r Recording) Files() int { return orElse(r.MaxFiles, 20) }

// Bytes is how large all saved files may be together.
func (r Recording) Bytes() int64 { return int64(orElse(r.MaxMegabytes, 500)) * 1_000_000 }

func orElse(n, other int) int {
	if n == 0 {
		return other
	}
	return n
}
