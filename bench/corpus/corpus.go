// Package corpus sends graphs that nobody here wrote through calls: documents as golang.org/x/net/html and gopkg.in/yaml.v3 make
// them, of which one is nothing but cycles and the other shares what its source refers to twice.
package corpus

import (
	"context"

	"golang.org/x/net/html"
	"gopkg.in/yaml.v3"
)

//go:generate go tool rmigen

// Echo returns what it is given.
//
//rmi:remote
type Echo interface {
	HTML(ctx context.Context, n *html.Node) (*html.Node, error)
	YAML(ctx context.Context, n *yaml.Node) (*yaml.Node, error)
}
