// Package arch holds the architecture to its word. It is tests only: the imports of this module are what the tables in
// diagram_test.go say, each with its reason, and nothing in the module lives outside of a value that somebody made.
//
//	go test ./internal/arch
//
// What the tests say of every commit:
//
//  1. Packages import each other along the edges of the diagram, and every edge of the diagram is used.
//  2. A module of somebody else is imported where the tables say why, and nowhere else.
//  3. What package rmi brings into a program is a list short enough to be read.
//  4. Generated code needs nothing that its users could not import themselves.
//  5. No package has an init function or a variable that changes.
//  6. No test waits for the real clock, and each notices goroutines that it leaves over.
//  7. What users call of packages rmi and registry is shown in an example.
//  8. Functions have at most 60 lines, tables in them apart.
//
// A change of the architecture is a change of the tables in the same commit.
package arch
