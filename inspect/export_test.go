package inspect

// Referents is what an object is found to refer to.
func Referents(v any) ([]Referent, error) { return referents(v) }
