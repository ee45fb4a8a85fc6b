package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/mbp-market/mbp/engine"
)

// stream is an open event stream on a connection of its own.
type stream struct {
	net  net.Conn
	body io.ReadCloser
}

// everything is the path of the stream of all markets.
const everything = "/v1/stream"

// ofMarket and ofAccount are the paths of the other streams.
func ofMarket(m engine.MarketID) string   { return "/v1/markets/" + m.String() + "/stream" }
func ofAccount(a engine.AccountID) string { return "/v1/accounts/" + a.String() + "/stream" }

// subscribe asks for a stream after a sequence; 0 is from now. room is how many bytes
// this end of the line holds; 0 is as many as usual.
func subscribe(ctx context.Context, address, path, key string, after uint64, room int) (*stream, error) {
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if room > 0 {
			set := func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, room) }
			err = errors.Join(raw.Control(set), err)
		}
		return err
	}}
	n, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s := &stream{net: n}
	if err := s.ask(address, path, key, after); err != nil {
		_ = n.Close() // the first error is what is told
		return nil, err
	}
	return s, nil
}

func (s *stream) ask(address, path, key string, after uint64) error {
	if err := s.net.SetDeadline(time.Now().Add(maxWait)); err != nil {
		return err
	}
	resume := ""
	if after != 0 {
		resume = fmt.Sprintf("Last-Event-ID: %d\r\n", after)
	}
	if _, err := fmt.Fprintf(s.net, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n%s\r\n", path, address, key, resume); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReaderSize(s.net, 4<<10), nil) //nolint:bodyclose // it ends with the connection
	if err != nil {
		return fmt.Errorf("ask for the stream: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, 1000)) // the answer is what is told
		return fmt.Errorf("ask for the stream: %s: %s", res.Status, b)
	}
	s.body = res.Body
	return s.net.SetDeadline(time.Time{})
}

// close ends the connection as a broken line does; whoever reads gets an error.
func (s *stream) close() { _ = s.net.Close() }

// event is one event as it came over the line.
type event struct {
	id   uint64 // 0: it has none, and belongs to the decision of a later one
	kind string
	data []byte
}

// maxEvent bounds a line of the stream: a snapshot has some hundred KiB here.
const maxEvent = 4 << 20

// events calls see with every event until the connection ends or see returns an error.
func (s *stream) events(see func(event) error) error {
	lines := bufio.NewScanner(s.body)
	lines.Buffer(nil, maxEvent)
	var e event
	for lines.Scan() {
		name, value, _ := bytes.Cut(lines.Bytes(), []byte(": "))
		switch string(name) {
		case "id":
			n, err := strconv.ParseUint(string(value), 10, 64)
			if err != nil {
				return &fault{fmt.Sprintf("an event has the id %q", value)}
			}
			e.id = n
		case "event":
			e.kind = string(value)
		case "data":
			e.data = append(e.data[:0], value...)
		case "":
			if err := see(e); err != nil {
				return err
			}
			e = event{data: e.data}
		}
	}
	return lines.Err()
}
