// Package storagetest tests implementations of [storage.Store].
//
//	func TestStore(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storage.Store { return mystore.New(t.TempDir()) })
//	}
//
// [Run] opens an empty store for each test. [RunDurable] is for stores that keep
// records after the process ends: it closes a store, opens it again in the same
// directory, and reads the records. Both close stores that have a Close method.
package storagetest
