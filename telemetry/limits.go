package telemetry

// Bounds on what a node may say. They are far above what any real node needs and small enough that 10,000 hostile nodes do no harm.
const (
	MaxFrameBytes   = 256 << 10 // one frame from a node
	MaxControlBytes = 64 << 10  // one frame to a node
)

// maxEntities bounds how many entities a scope may have.
var maxEntities = [NumScopes]int{
	ScopeNode:      1,
	ScopeGroup:     64,
	ScopeSource:    64,
	ScopeGPU:       64,
	ScopePort:      128,
	ScopeHWCounter: 4096,
	ScopeNet:       128,
	ScopeDisk:      128,
	ScopeFS:        64,
	ScopeCore:      2048,
	ScopeGPULink:   1024,
	ScopeGPUPart:   512,
	ScopeCall:      128,
}

// MaxEntities is the largest number of entities that a sample may hold in a scope.
func MaxEntities(s Scope) int {
	if s >= NumScopes {
		return 0
	}
	return maxEntities[s]
}
