// Command registry serves a registry of remote objects, and asks one.
//
//	registry serve
//	registry list bank/
//	registry lookup bank/alice
//
// The exit code is 0 when it is done, 1 when it failed, 2 when the command line is wrong, 3 when a name is not bound, and 4
// when there is no registry to ask.
package main

import "os"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }
