//go:build !linux

package collectors

import (
	"os"
	"time"
)

func dialListener(rasPlace, time.Duration) (*os.File, error) {
	return nil, &rasTrouble{text: "NCCL runs on Linux only", absent: true}
}
