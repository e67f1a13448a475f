// Package cfworker runs functions of [cfjs] where they can do no harm: in
// worker processes that are watched from outside and killed when they use too
// much.
//
// A [Pool] keeps the processes. Each is this program executed again, with an
// empty environment and nothing but two pipes, and runs one call at a time. It
// holds no store data: the parent pins one version of the store for a call and
// answers its reads over the pipe. A spare is always waiting, so that a kill
// delays nobody else. A program that imports this package is a worker when it is
// started as one. [InProcess] is the same interface without processes, for tests
// and for code that is trusted.
//
// Calls run in two lanes, see turns.go: those of programs that have shown to be
// quick, and those of programs that have not yet, or not lately, see trials.go.
// The latter give way to the former; docs/decisions/0009-slow-lane.md says why
// and how.
//
// # Limits
//
// What stops a run, in the order in which it takes effect:
//
//   - the guards and the watch of package cfjs, inside the worker, at the hard
//     limit. The process lives on;
//   - the parent, which reads the processor clock of the whole process, makes a
//     slow call change to the slow lane and give way, and kills the process at one
//     and a half times the hard limit. No native loop escapes this. Where the
//     system has no such clock, wall time counts;
//   - the kernel, which does the same if the parent does not get a processor to
//     look, and which lets the process have no more memory than its limit:
//     RLIMIT_DATA, see limits_linux.go for why that one.
//
// Deliberately absent: which store a function reads, what the edge answers when
// a function fails, and anything that outlives a call, except which functions
// were refused lately.
package cfworker
