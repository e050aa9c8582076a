package registry

// Bindings returns what the keeper keeps, for tests.
func (k *Keeper) Bindings() []URL {
	k.mu.Lock()
	defer k.mu.Unlock()
	var urls []URL
	for endpoint, at := range k.kept {
		for name := range at.names {
			urls = append(urls, URL{endpoint, name})
		}
	}
	return urls
}
