package vet

import (
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"strings"
)

// Remote calls under a lock. A function is walked in the order in which it runs, with the locks that are held for certain: where
// ways meet, those that are held on all of them. A loop is walked once, since what is held in its first round is held.

// held are the locks that are held at a point, by the expression they are called on, and where they were taken.
type held map[string]token.Pos

// both keeps what is held on two ways; a nil one does not come here.
func both(a, b held) held {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	a = maps.Clone(a)
	maps.DeleteFunc(a, func(lock string, _ token.Pos) bool { _, ok := b[lock]; return !ok })
	return a
}

// locks finds remote calls while a lock of package sync is held.
func (p *pass) locks() {
	p.functions(func(_ *ast.FuncType, body *ast.BlockStmt) {
		w := &lockWalk{p: p}
		w.block(body.List, held{})
	})
}

// A lockWalk is one function being walked. Each of its methods takes what is held before a statement and returns what is held
// after it, nil if nothing comes after.
type lockWalk struct {
	p      *pass
	breaks []*held // of the statements around that can be broken off: what is held where they are
}

func (w *lockWalk) block(list []ast.Stmt, h held) held {
	for _, s := range list {
		if h == nil {
			return nil
		}
		h = w.stmt(s, h)
	}
	return h
}

func (w *lockWalk) stmt(s ast.Stmt, h held) held {
	switch s := s.(type) {
	case nil:
	case *ast.ExprStmt:
		return w.expression(s, h)
	case *ast.BlockStmt:
		return w.block(s.List, h)
	case *ast.LabeledStmt:
		return w.stmt(s.Stmt, h)
	case *ast.IfStmt:
		return w.branch(s, h)
	case *ast.ForStmt:
		h = w.stmt(s.Init, h)
		w.scan(s.Cond, h)
		return w.loop(h, s.Cond != nil, s.Body, s.Post)
	case *ast.RangeStmt:
		w.scan(s.X, h)
		return w.loop(h, true, s.Body, nil)
	case *ast.SwitchStmt:
		h = w.stmt(s.Init, h)
		w.scan(s.Tag, h)
		return w.clauses(s.Body, h)
	case *ast.TypeSwitchStmt:
		h = w.stmt(s.Init, h)
		return w.clauses(s.Body, w.stmt(s.Assign, h))
	case *ast.SelectStmt:
		return w.clauses(s.Body, h)
	case *ast.BranchStmt:
		return w.leave(s, h)
	case *ast.ReturnStmt:
		w.scan(s, h)
		return nil
	case *ast.DeferStmt:
		w.arguments(s.Call, h)
	case *ast.GoStmt:
		w.arguments(s.Call, h)
	default:
		w.scan(s, h)
		return w.without(s, h)
	}
	return h
}

// expression takes and gives back locks, and sees functions that do not return.
func (w *lockWalk) expression(s *ast.ExprStmt, h held) held {
	call, ok := ast.Unparen(s.X).(*ast.CallExpr)
	if !ok {
		w.scan(s.X, h)
		return h
	}
	if lock, method := w.lock(call); lock != "" {
		h = maps.Clone(h)
		switch method {
		case "Lock", "RLock":
			h[lock] = call.Pos()
		case "Unlock", "RUnlock":
			delete(h, lock)
		}
		return h
	}
	w.scan(s.X, h)
	if w.ends(call) {
		return nil
	}
	return w.without(s.X, h)
}

// ends tells whether a call does not return.
func (w *lockWalk) ends(call *ast.CallExpr) bool {
	switch obj := w.p.object(call.Fun).(type) {
	case *types.Builtin:
		return obj.Name() == "panic"
	case *types.Func:
		if obj.Pkg() == nil {
			return false
		}
		switch obj.Pkg().Path() + "." + obj.Name() {
		case "os.Exit", "runtime.Goexit", "log.Fatal", "log.Fatalf", "log.Fatalln", "log.Panic", "log.Panicf", "log.Panicln":
			return true
		}
	}
	return false
}

// branch walks an if, one that tries a lock among them.
func (w *lockWalk) branch(s *ast.IfStmt, h held) held {
	h = w.stmt(s.Init, h)
	w.scan(s.Cond, h)
	then, otherwise := h, h
	cond, negated := ast.Unparen(s.Cond), false
	if not, ok := cond.(*ast.UnaryExpr); ok && not.Op == token.NOT {
		cond, negated = ast.Unparen(not.X), true
	}
	if call, ok := cond.(*ast.CallExpr); ok {
		if lock, method := w.lock(call); method == "TryLock" || method == "TryRLock" {
			taken := maps.Clone(h)
			taken[lock] = call.Pos()
			if negated {
				otherwise = taken
			} else {
				then = taken
			}
		}
	}
	then = w.block(s.Body.List, then)
	if s.Else != nil {
		otherwise = w.stmt(s.Else, otherwise)
	}
	return both(then, otherwise)
}

// loop walks a body once. The loop is left where its condition does not hold, if it has one, and where it is broken off.
func (w *lockWalk) loop(h held, conditional bool, body *ast.BlockStmt, post ast.Stmt) held {
	broken := w.breakable(func() {
		end := w.block(body.List, h)
		if end != nil && post != nil {
			end = w.stmt(post, end)
		}
		h = both(h, end)
	})
	if !conditional {
		return broken
	}
	return both(h, broken)
}

// clauses walks those of a switch or select. Unless one is sure to be taken, what is held before may be held after.
func (w *lockWalk) clauses(body *ast.BlockStmt, h held) held {
	var after held
	certain := false
	broken := w.breakable(func() {
		for _, c := range body.List {
			var list []ast.Stmt
			before := h
			switch c := c.(type) {
			case *ast.CaseClause:
				for _, e := range c.List {
					w.scan(e, h)
				}
				list, certain = c.Body, certain || c.List == nil
			case *ast.CommClause:
				before = w.stmt(c.Comm, h)
				list, certain = c.Body, true
			}
			after = both(after, w.block(list, before))
		}
	})
	if !certain {
		after = both(after, h)
	}
	return both(after, broken)
}

// breakable runs walk within something that can be broken off, and returns what is held wherever it is.
func (w *lockWalk) breakable(walk func()) held {
	var broken held
	w.breaks = append(w.breaks, &broken)
	walk()
	w.breaks = w.breaks[:len(w.breaks)-1]
	return broken
}

// leave records where a statement leads to. With a label it may be any that is around: each then holds no more than is held here.
func (w *lockWalk) leave(s *ast.BranchStmt, h held) held {
	switch {
	case s.Tok == token.FALLTHROUGH:
		return h
	case s.Label != nil || s.Tok == token.GOTO:
		for _, b := range w.breaks {
			*b = both(*b, h)
		}
	case s.Tok == token.BREAK && len(w.breaks) > 0:
		b := w.breaks[len(w.breaks)-1]
		*b = both(*b, h)
	case s.Tok == token.CONTINUE:
		for _, b := range w.breaks { // the loop's is among them, and is left sooner or later
			*b = both(*b, h)
		}
	}
	return nil
}

// arguments are evaluated at once where the call itself comes later.
func (w *lockWalk) arguments(call *ast.CallExpr, h held) {
	for _, arg := range call.Args {
		w.scan(arg, h)
	}
}

// scan reports what is called remotely in an expression or simple statement, and walks functions that are called on the spot.
func (w *lockWalk) scan(n ast.Node, h held) {
	if n == nil || len(h) == 0 {
		return
	}
	within(n, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if lit, ok := ast.Unparen(call.Fun).(*ast.FuncLit); ok {
			(&lockWalk{p: w.p}).block(lit.Body.List, h)
		}
		if name := w.p.asks(call); name != "" {
			w.report(call, name, h)
		}
		return true
	})
}

func (w *lockWalk) report(call *ast.CallExpr, name string, h held) {
	lock, at := "", token.NoPos
	for l, pos := range h {
		if lock == "" || pos < at {
			lock, at = l, pos
		}
	}
	w.p.report(call.Pos(), "%s is called while %s is locked, since line %d: whoever wants the lock waits for another process, and for ever if the call leads back to it: "+
		"copy what it takes, unlock, and call then", name, lock, w.p.Position(at).Line)
}

// without drops the locks that a statement may give back in a way that is not followed: by a function that is called, which gets the lock or
// its Unlock or is the package's own and unlocks one of that name, or by a literal.
func (w *lockWalk) without(n ast.Node, h held) held {
	if len(h) == 0 {
		return h
	}
	drop := func(gone func(lock string) bool) {
		h = maps.Clone(h)
		maps.DeleteFunc(h, func(lock string, _ token.Pos) bool { return gone(lock) })
	}
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				drop(func(lock string) bool { return lock == types.ExprString(n.X) })
			}
		case *ast.SelectorExpr:
			if isUnlock(n) {
				drop(func(lock string) bool { return lock == types.ExprString(n.X) })
			}
		case *ast.CallExpr:
			if unlocked := w.unlocks(n); len(unlocked) > 0 {
				drop(func(lock string) bool { return unlocked[lastName(lock)] })
			}
		}
		return true
	})
	return h
}

func isUnlock(sel *ast.SelectorExpr) bool {
	return sel.Sel.Name == "Unlock" || sel.Sel.Name == "RUnlock"
}

// unlocks returns the last names of what a function of the package unlocks, if the call is of one.
func (w *lockWalk) unlocks(call *ast.CallExpr) map[string]bool {
	fn, ok := w.p.object(call.Fun).(*types.Func)
	if !ok {
		return nil
	}
	names := map[string]bool{}
	for _, f := range w.p.pkg.Files {
		for _, decl := range f.Decls {
			if d, ok := decl.(*ast.FuncDecl); ok && d.Body != nil && w.p.pkg.Info.Defs[d.Name] == fn.Origin() {
				ast.Inspect(d.Body, func(n ast.Node) bool {
					if sel, ok := n.(*ast.SelectorExpr); ok && isUnlock(sel) {
						names[lastName(types.ExprString(sel.X))] = true
					}
					return true
				})
			}
		}
	}
	return names
}

// lastName is mu of s.store.mu.
func lastName(expr string) string { return expr[strings.LastIndex(expr, ".")+1:] }

// lock returns the lock that a call is about, by what it is called on, and the method; "" for any other call.
func (w *lockWalk) lock(call *ast.CallExpr) (lock, method string) {
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	fn, ok := w.p.pkg.Info.Uses[sel.Sel].(*types.Func)
	if !ok || fn.Pkg() == nil || fn.Pkg().Path() != "sync" {
		return "", ""
	}
	switch fn.Name() {
	case "Lock", "RLock", "Unlock", "RUnlock", "TryLock", "TryRLock":
		return types.ExprString(sel.X), fn.Name()
	}
	return "", ""
}
