// Foretop-collector is the node program: it streams what the node says over standard output until standard input closes.
package main

import (
	"os"

	"foretop/collectors"
)

// build is set by the linker.
var build = "dev"

func main() { os.Exit(collectors.Main(build)) }
