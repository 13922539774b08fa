//go:build !unix

package simfleet

import "time"

func processCost() (cpu time.Duration, rss int64) { return 0, 0 }
