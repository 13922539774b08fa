//go:build race

package findings

// slow says that the race detector looks on: simulated fleets take several times as long.
const slow = true
