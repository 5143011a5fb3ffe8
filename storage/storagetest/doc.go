// Package storagetest is the test that every [storage.Store] has to pass: the
// ones of this module, and yours.
//
//	func TestStore(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storage.Store { return mystore.New(t.TempDir()) })
//	}
//
// [Run] asks for an empty store for each of its tests. [RunDurable] is for stores
// that outlive the process: it closes a store, opens it again at the same place,
// and looks for what was put. Both close stores that have a Close method.
package storagetest
