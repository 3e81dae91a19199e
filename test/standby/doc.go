// Package standby proves that a process which stands by takes a pipeline over
// when the one that leads is killed, ends, hangs, or can't be reached any more,
// and that nothing is lost or counted twice by it.
//
// The programs are real processes on one broker and one database, and events
// come in all the time. How long takeovers take is told, not judged: machines
// that run tests are busy. MILLSTREAM_TEST_TAKEOVERS says how many there are to
// be; the default is a sample.
package standby
