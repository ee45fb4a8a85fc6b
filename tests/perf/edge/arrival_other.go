//go:build !linux

package main

import (
	"net"
	"time"
)

// wire is a connection whose system does not tell when it had what was read.
type wire struct{ *net.TCPConn }

func newWire(n *net.TCPConn) (*wire, error) { return &wire{n}, nil }

func (*wire) arrived() time.Time { return time.Time{} }
