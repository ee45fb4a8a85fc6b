package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi"
	"github.com/mbp-market/mbp/engine/journal"
)

// orderRecord is the size in bytes of an order's record with its idempotency key,
// filled by the pool; a test compares it with one.
const orderRecord = 97

// rawSize is the pre-zeroed file, which is overwritten from its start again.
const rawSize = 64 << 20

// rawLog is the least that a disk asks for: one writer that takes what waits,
// writes it and syncs.
type rawLog struct {
	file *os.File
	in   chan chan error
	done chan struct{}
}

func newRawLog(dir string) (*rawLog, error) {
	f, err := os.Create(filepath.Join(dir, "raw"))
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(make([]byte, rawSize)); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	l := &rawLog{file: f, in: make(chan chan error, journal.MaxBatchRecords), done: make(chan struct{})}
	go l.run()
	return l, nil
}

func (l *rawLog) run() {
	defer close(l.done)
	record := make([]byte, orderRecord)
	var buf []byte
	var acks []chan error
	off := int64(0)
	for first := range l.in {
		acks, buf = append(acks[:0], first), buf[:0]
		for len(l.in) > 0 && len(acks) < journal.MaxBatchRecords {
			acks = append(acks, <-l.in)
		}
		for range acks {
			buf = append(binary.LittleEndian.AppendUint64(buf, orderRecord), record...)
		}
		if off+int64(len(buf)) > rawSize {
			off = 0
		}
		_, err := l.file.WriteAt(buf, off)
		if err == nil {
			err = syscall.Fdatasync(int(l.file.Fd()))
		}
		off += int64(len(buf))
		for _, a := range acks {
			a <- err
		}
	}
}

func (l *rawLog) commit(ack chan error) error {
	l.in <- ack
	return <-ack
}

func (l *rawLog) close() error {
	close(l.in)
	<-l.done
	return l.file.Close()
}

func openRaw(_ context.Context, dir string) (*subject, error) {
	l, err := newRawLog(dir)
	if err != nil {
		return nil, err
	}
	acks := make([]chan error, maxSubmitters)
	for i := range acks {
		acks[i] = make(chan error, 1)
	}
	return &subject{submit: func(s, _ int) error { return l.commit(acks[s]) }, end: l.close}, nil
}

// bareOrder and bareAnswer are what an order and its decision have, in plain
// structures; a test compares their members with those of the platform.
type bareOrder struct {
	Market  engine.MarketID `json:"market"`
	Outcome engine.Outcome  `json:"outcome"`
	Side    engine.Side     `json:"side"`
	TIF     engine.TIF      `json:"tif"`
	Shares  engine.Shares   `json:"shares_micros"`
}

type bareAnswer struct {
	Seq       engine.Seq  `json:"seq"`
	At        engine.Time `json:"decided_at"`
	Code      engine.Code `json:"code"`
	Principal string      `json:"principal"`
	Command   bareCommand `json:"command"`
	Events    []bareFill  `json:"events"`
}

type bareCommand struct {
	Type    string           `json:"type"`
	Account engine.AccountID `json:"account"`
	bareOrder
}

type bareFill struct {
	Type string `json:"type"`
	engine.OrderFilled
}

func bareHandler(l *rawLog) http.Handler {
	acks := sync.Pool{New: func() any { return make(chan error, 1) }}
	handle := func(w http.ResponseWriter, r *http.Request, durable bool) {
		var x bareOrder
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, httpapi.DefaultMaxBody))
		d.DisallowUnknownFields()
		if err := d.Decode(&x); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if durable {
			ack, _ := acks.Get().(chan error)
			if err := l.commit(ack); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			acks.Put(ack)
		}
		b, err := json.Marshal(bareAnswer{
			Seq: 1_234_567, At: 1_800_000_000_123_456, Principal: "trader-123", Command: bareCommand{Type: "place_order", Account: 123, bareOrder: x},
			Events: []bareFill{{Type: "order_filled", OrderFilled: engine.OrderFilled{
				Order: engine.OrderID(1_234_567 << 8), Account: 123, Market: x.Market, Outcome: x.Outcome, Side: x.Side, Amount: 500_001, Shares: x.Shares,
				Average: 500_001, PriceBefore: 500_000, PriceAfter: 500_001, Sets: 500_001, PoolShares: x.Shares,
			}}},
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(b) // a client that is gone is the load's to tell
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /b", func(w http.ResponseWriter, r *http.Request) { handle(w, r, false) })
	mux.HandleFunc("POST /b2", func(w http.ResponseWriter, r *http.Request) { handle(w, r, true) })
	return mux
}

func openBare(ctx context.Context, dir string) (*subject, error) {
	l, err := newRawLog(dir)
	if err != nil {
		return nil, err
	}
	address, end, err := serve(ctx, bareHandler(l))
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return &subject{
		hello: hello{Address: address, Keys: []string{"mbp_" + strconv.Itoa(1_000_000_000)}},
		end:   func() error { return errors.Join(end(), l.close()) },
	}, nil
}

// serve answers on a free port of this machine, with the edge's own time limits.
func serve(ctx context.Context, h http.Handler) (address string, end func() error, err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := httpapi.NewServer(h, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	return l.Addr().String(), func() error {
		err := s.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}
