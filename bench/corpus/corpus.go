// Package corpus sends graphs that nobody here wrote through calls: parse trees of the standard library with their objects
// resolved, which are full of interfaces and cycles, and documents as golang.org/x/net/html and gopkg.in/yaml.v3 make them, of which
// one is nothing but cycles and the other shares what its source refers to twice.
package corpus

import (
	"context"
	"go/ast"

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

// Trees returns what it is given.
//
//rmi:remote
//rmi:types *ast.ArrayType
//rmi:types *ast.AssignStmt
//rmi:types *ast.BadDecl
//rmi:types *ast.BadExpr
//rmi:types *ast.BadStmt
//rmi:types *ast.BasicLit
//rmi:types *ast.BinaryExpr
//rmi:types *ast.BlockStmt
//rmi:types *ast.BranchStmt
//rmi:types *ast.CallExpr
//rmi:types *ast.CaseClause
//rmi:types *ast.ChanType
//rmi:types *ast.CommClause
//rmi:types *ast.CompositeLit
//rmi:types *ast.DeclStmt
//rmi:types *ast.DeferStmt
//rmi:types *ast.Ellipsis
//rmi:types *ast.EmptyStmt
//rmi:types *ast.ExprStmt
//rmi:types *ast.ForStmt
//rmi:types *ast.FuncDecl
//rmi:types *ast.FuncLit
//rmi:types *ast.FuncType
//rmi:types *ast.GenDecl
//rmi:types *ast.GoStmt
//rmi:types *ast.IfStmt
//rmi:types *ast.ImportSpec
//rmi:types *ast.IncDecStmt
//rmi:types *ast.IndexExpr
//rmi:types *ast.IndexListExpr
//rmi:types *ast.InterfaceType
//rmi:types *ast.KeyValueExpr
//rmi:types *ast.LabeledStmt
//rmi:types *ast.MapType
//rmi:types *ast.ParenExpr
//rmi:types *ast.RangeStmt
//rmi:types *ast.ReturnStmt
//rmi:types *ast.SelectStmt
//rmi:types *ast.SelectorExpr
//rmi:types *ast.SendStmt
//rmi:types *ast.SliceExpr
//rmi:types *ast.StarExpr
//rmi:types *ast.StructType
//rmi:types *ast.SwitchStmt
//rmi:types *ast.TypeAssertExpr
//rmi:types *ast.TypeSpec
//rmi:types *ast.TypeSwitchStmt
//rmi:types *ast.UnaryExpr
//rmi:types *ast.ValueSpec
type Trees interface {
	Files(ctx context.Context, files []*ast.File) ([]*ast.File, error)
	Node(ctx context.Context, n ast.Node) (ast.Node, error)
}
