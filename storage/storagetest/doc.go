// Package storagetest tests implementations of [storage.Store].
//
//	func TestStore(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storage.Store { return mystore.New(t.TempDir()) })
//	}
//
// [Run] opens an empty store for each test. [RunDurable] is for stores that keep
// records after the process ends: it closes a store, opens it again, and reads the
// records. [RunShared] is for stores that several processes share: it opens two stores
// with the same records. All three close stores that have a Close method.
package storagetest
