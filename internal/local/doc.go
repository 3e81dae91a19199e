// Package local runs the two servers of a pipeline on this machine: a Kafka
// broker inside this process and a PostgreSQL server as its child.
//
// Both listen on loopback unless told otherwise, take the wanted port or the
// next free one, and keep their data in a folder that is locked while they
// run, or in memory and in a temporary folder when none is given.
//
// What holds:
//
//  1. A folder has one user at a time: the lock goes with the process, however
//     it ends, so no stale lock needs removing.
//  2. What the broker or the database has acknowledged is there after a SIGKILL
//     of this process. fsync is off only where the folder is temporary.
//  3. The PostgreSQL server never outlives its use: it is stopped by Close, by
//     the kernel when this process dies (Linux), and otherwise by the next
//     start on the same folder.
//  4. A PostgreSQL server that ends by itself is started again on its port, a
//     bounded number of times (keeper.go).
//
// Errors name the folder, program or port, and what to do.
package local
