package main

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stampSize is that of a __kernel_timespec: seconds and nanoseconds, 64 bits each on
// every architecture.
const stampSize = 16

// wire is a connection that remembers when the kernel had what was read from it last,
// whenever that was read: SO_TIMESTAMPNS of socket(7). One goroutine reads at a time.
type wire struct {
	*net.TCPConn
	raw     syscall.RawConn
	control []byte // for one control message
	receive func(fd uintptr) bool

	into []byte // of the read under way, as n and err are
	n    int
	err  error
	at   time.Time
}

// newWire asks the kernel for the times of a connection. One that refuses tells none.
func newWire(n *net.TCPConn) (*wire, error) {
	raw, err := n.SyscallConn()
	if err != nil {
		return nil, err
	}
	w := &wire{TCPConn: n, raw: raw, control: make([]byte, unix.CmsgSpace(stampSize))}
	w.receive = w.recvmsg // once: a method value is an allocation
	return w, raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, 1) // refused: no answer has a time
	})
}

// Read is that of the connection, deadlines included. Of several segments in one read
// the kernel tells the time of the last.
func (w *wire) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	w.into = p
	if err := w.raw.Read(w.receive); err != nil {
		return 0, err
	}
	if w.err != nil {
		return 0, os.NewSyscallError("recvmsg", w.err)
	}
	if w.n == 0 {
		return 0, io.EOF
	}
	return w.n, nil
}

// recvmsg reads once, and says false if there is nothing yet.
func (w *wire) recvmsg(fd uintptr) bool {
	for {
		var control int
		w.n, control, _, _, w.err = unix.Recvmsg(int(fd), w.into, w.control, 0)
		switch {
		case errors.Is(w.err, unix.EINTR):
			continue
		case errors.Is(w.err, unix.EAGAIN):
			return false
		case w.err == nil:
			w.at = stamped(w.control[:control])
		}
		return true
	}
}

// stamped is the time in a control message, by the wall clock; zero if there is none.
func stamped(control []byte) time.Time {
	if len(control) < unix.SizeofCmsghdr {
		return time.Time{}
	}
	head, data, _, err := unix.ParseOneSocketControlMessage(control)
	if err != nil || head.Level != unix.SOL_SOCKET || head.Type != unix.SO_TIMESTAMPNS_NEW || len(data) < stampSize {
		return time.Time{}
	}
	return time.Unix(int64(binary.NativeEndian.Uint64(data)), int64(binary.NativeEndian.Uint64(data[8:])))
}

// arrived is when the kernel had what was read last, by the wall clock; zero if it did
// not tell.
func (w *wire) arrived() time.Time { return w.at }
