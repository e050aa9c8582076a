package vet

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// Calls that are made again when they fail. A call that failed may have run: unless that is checked, or the method is
// idempotent, what it does is done twice.

func (p *pass) retries() {
	for _, f := range p.pkg.Files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ForStmt:
				p.loop(n, n.Body, n.Cond)
			case *ast.RangeStmt:
				p.loop(n, n.Body, nil)
			case *ast.CallExpr:
				p.retrier(n)
			}
			return true
		})
	}
}

const retryRemedy = "is called again when it fails, and is not //rmi:idempotent: the call may have run, and only its answer was lost: " +
	"call again only if !rmi.MayHaveRun(err), or mark the method if running it twice is as good as once"

// loop judges the calls of a loop that it leaves when they succeed and makes again when they do not.
func (p *pass) loop(loop ast.Node, body *ast.BlockStmt, cond ast.Expr) {
	if p.decides(body) {
		return
	}
	set := p.assigned(loop)
	for i, s := range body.List {
		call, err := p.attempt(s)
		if call == nil || p.IsIdempotent(call.method) || !p.again(call, loop, set) {
			continue
		}
		if p.leavesOnSuccess(body.List[i:], err, cond) {
			p.report(call.Pos(), "%s %s", p.callName(call), retryRemedy)
		}
	}
}

// again tells whether each round makes the same call, be it on another object.
func (p *pass) again(call *remoteCall, loop ast.Node, set map[types.Object]bool) bool {
	if len(call.Args) == 0 {
		return false
	}
	for _, arg := range call.Args[1:] {
		if p.varies(arg, loop, set) {
			return false
		}
	}
	return len(call.Args) > 1 || !p.varies(call.receiver, loop, set)
}

// attempt returns the remote call that a statement makes, and the variable that gets its error; nil if it does not do that.
func (p *pass) attempt(s ast.Stmt) (*remoteCall, types.Object) {
	if branch, ok := s.(*ast.IfStmt); ok {
		s = branch.Init
	}
	assign, ok := s.(*ast.AssignStmt)
	if !ok || len(assign.Rhs) != 1 {
		return nil, nil
	}
	call := p.remote(ast.Unparen(assign.Rhs[0]))
	id, ok := assign.Lhs[len(assign.Lhs)-1].(*ast.Ident)
	if call == nil || !ok || id.Name == "_" {
		return nil, nil
	}
	if obj := p.pkg.Info.Defs[id]; obj != nil {
		return call, obj
	}
	return call, p.pkg.Info.Uses[id]
}

// leavesOnSuccess tells whether a loop, of which the rest of a round is given from the call on, ends when the error is nil and
// goes on when it is not.
func (p *pass) leavesOnSuccess(rest []ast.Stmt, err types.Object, cond ast.Expr) bool {
	if cond != nil && p.compares(cond, err, token.NEQ) {
		return !exits(rest)
	}
	for i, s := range rest {
		branch, ok := s.(*ast.IfStmt)
		if !ok {
			continue
		}
		switch {
		case p.compares(branch.Cond, err, token.EQL) && exits(branch.Body.List):
			other, _ := branch.Else.(*ast.BlockStmt)
			return !exits(rest[i+1:]) && (other == nil || !exits(other.List))
		case p.compares(branch.Cond, err, token.NEQ) && !exits(branch.Body.List):
			other, _ := branch.Else.(*ast.BlockStmt)
			return other != nil && exits(other.List) || continues(branch.Body.List) && exits(rest[i+1:])
		}
	}
	return false
}

// compares tells whether a condition is, or begins with, a comparison of err with nil.
func (p *pass) compares(cond ast.Expr, err types.Object, op token.Token) bool {
	b, ok := ast.Unparen(cond).(*ast.BinaryExpr)
	if !ok {
		return false
	}
	if b.Op == token.LAND {
		return p.compares(b.X, err, op) || p.compares(b.Y, err, op)
	}
	id, ok := ast.Unparen(b.X).(*ast.Ident)
	if null, isName := ast.Unparen(b.Y).(*ast.Ident); !ok || !isName || null.Name != "nil" {
		return false
	}
	return b.Op == op && p.pkg.Info.Uses[id] == err
}

// exits tells whether statements end a loop when they are run through.
func exits(list []ast.Stmt) bool {
	if len(list) == 0 {
		return false
	}
	switch s := list[len(list)-1].(type) {
	case *ast.ReturnStmt:
		return true
	case *ast.BranchStmt:
		return s.Tok == token.BREAK || s.Tok == token.GOTO
	}
	return false
}

func continues(list []ast.Stmt) bool {
	if len(list) == 0 {
		return false
	}
	s, ok := list[len(list)-1].(*ast.BranchStmt)
	return ok && s.Tok == token.CONTINUE
}

// decides tells whether code looks at what an error is before it goes on: whether the call may have run, or what the method itself
// answered. That nobody answered decides nothing.
func (p *pass) decides(n ast.Node) (decides bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		fn, ok := p.object(call.Fun).(*types.Func)
		if !ok || fn.Pkg() == nil {
			return true
		}
		switch fn.Pkg().Path() + "." + fn.Name() {
		case rmiPath + ".MayHaveRun", "errors.As", "errors.AsType":
			decides = true
		case "errors.Is":
			decides = decides || !p.isLoss(call.Args[1])
		default:
			decides = decides || slices.Contains([]string{"Permanent", "Unrecoverable", "NotRetryable"}, fn.Name())
		}
		return true
	})
	return decides
}

// isLoss tells whether an error is one of those that leave it open whether the call has run.
func (p *pass) isLoss(e ast.Expr) bool {
	obj := p.object(e)
	return obj != nil && obj.Pkg() != nil && slices.Contains([]string{
		rmiPath + ".ErrUnreachable", rmiPath + ".ErrPeerExpired", rmiPath + ".ErrProtocol", "context.DeadlineExceeded"}, obj.Pkg().Path()+"."+obj.Name())
}

// retrier judges functions that are handed to one that calls them until they succeed.
func (p *pass) retrier(call *ast.CallExpr) {
	fn, ok := p.object(call.Fun).(*types.Func)
	if !ok || fn.Pkg() == nil {
		return
	}
	name := strings.ToLower(fn.Pkg().Name() + " " + fn.Name())
	if !strings.Contains(name, "retry") && !strings.Contains(name, "retrie") && !strings.Contains(name, "backoff") {
		return
	}
	for _, arg := range call.Args {
		lit, ok := ast.Unparen(arg).(*ast.FuncLit)
		if !ok || p.decides(lit) {
			continue
		}
		within(lit, func(n ast.Node) bool {
			if c := p.remote(n); c != nil && !p.IsIdempotent(c.method) {
				p.report(c.Pos(), "%s %s", p.callName(c), retryRemedy)
			}
			return true
		})
	}
}
