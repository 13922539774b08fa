package payload

import "embed"

// embedded holds what `make` left in this folder: foretop-collector-OS-ARCH.gz and foretop-nvml-OS-ARCH.gz, OS linux, ARCH amd64
// and arm64, ignored by git. The committed placeholder.gz keeps the pattern valid where nothing is built in.
//
//go:embed *.gz
var embedded embed.FS
