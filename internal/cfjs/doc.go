// Package cfjs is the CloudFront Functions runtime as a library: a function
// that passes here passes on CloudFront, and one that CloudFront would reject
// is rejected here with the reason.
//
// [Compile] reads the code once; [Program.Run] runs it against one event and
// one version of a store, in a JavaScript VM of its own. Nothing survives a
// run. The VM is built from what the code names: a function that never says
// Buffer does not pay for one.
//
// Deliberately absent: goroutines that outlive a run, HTTP, storage, and
// protection of the process from a native call that runs away. Guards stop the
// known ones; code that is not trusted belongs in a worker process.
package cfjs
