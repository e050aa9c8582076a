package testobj

import (
	"context"
	"go/ast"
	"net/netip"
	"net/url"
	"time"
)

// Grapher echoes values of every shape: parse trees of the standard library are what nobody here wrote.
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
type Grapher interface {
	Files(ctx context.Context, files []*ast.File) ([]*ast.File, error)
	Node(ctx context.Context, n ast.Node) (ast.Node, error)
	Any(ctx context.Context, v any) (any, error)
	Pair(ctx context.Context, a, b *Knot) (c, d *Knot, err error)
	Slices(ctx context.Context, a, b []byte) (c, d []byte, err error)
}

// Knot is a value that can refer to anything, itself included.
type Knot struct {
	Name  string
	Left  *Knot
	Right *Knot
	By    map[string]*Knot
	Any   any
	Keys  map[any]*Knot
	Link  *url.URL
	Addr  netip.Addr
	At    time.Time
	Hears Listener
}
