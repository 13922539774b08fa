//go:build !race

package findings

const slow = false
