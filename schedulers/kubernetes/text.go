package kubernetes

import (
	"foretop/schedulers"
	"foretop/telemetry"
)

// Bounds of what one object may say beyond those of a picture.
const (
	maxWord       = 256 // bytes of a name, a label's value, a reason
	maxLabels     = 32
	maxAddresses  = 16
	maxContainers = 16
	maxResources  = 8
	maxTaints     = 8
)

// word is a short string of the server's, fit to be shown.
func word(s string) string { return telemetry.Clean(s, maxWord) }

// text is a sentence of the server's.
func text(s string) string { return telemetry.Clean(s, schedulers.MaxText) }
