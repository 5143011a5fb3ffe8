// Package fleet has recipes for uploads by many machines that share a queue:
//
//	river             jobs of River, with uploads and jobs in PostgreSQL
//	jetstream         a work queue of NATS JetStream, which has the uploads as well
//	temporal          workflows of Temporal, which need no store
//	kubernetes.yaml   "tusup worker" as a Deployment
//
// The comment of each command says what happens when a worker is killed, and its tests kill one in
// the middle of an upload. The recipes are a module of their own, because queues have many
// dependencies.
package fleet
