// Foretop is htop for an AI training fleet; package cli says what it can be asked.
package main

import (
	"os"

	"foretop/cli"
)

func main() { os.Exit(cli.Main()) }
