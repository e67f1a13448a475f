// Package server assembles an origin: storage, access, the rules of both
// planes and their wires, behind one API listener and one admin listener.
//
// It decides nothing about requests. What it owns is the order of start and
// stop, the sockets and their caps, the request log and the metrics.
package server
