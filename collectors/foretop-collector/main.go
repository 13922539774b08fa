// Foretop-collector is the node program: it streams what the node says over standard output until standard input closes.
package main

import (
	"os"

	"foretop/collectors"
)

func main() { os.Exit(collectors.Main(os.Args[1:])) }
