// Package bench measures popkv against floors: the least that anything with
// the same duty would cost on the same machine, in the same minute. Its
// results are ratios; docs/performance.md explains them.
//
// Servers run in processes of their own, so that what they use of the
// processor can be told from what the clients use. They are this test binary,
// started again (see TestMain).
//
// A subject is always measured between two runs of its floor. When these
// differ by more than a quarter the machine was busy with something else, and
// the measurement is thrown away. A metric whose name ends in ≤ and a number
// has that target.
//
// It runs on Linux only.
package bench
