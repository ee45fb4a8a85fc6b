package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/postgres"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// submitters wait for a decision each. The bare loop has as many records on their
// way, in two statements.
const (
	submitters = 256
	onTheirWay = 2
	loopBatch  = submitters / onTheirWay
)

// hall is a writer on the journal in PostgreSQL, with a market and an account for
// each submitter.
type hall struct {
	log    *postgres.Log
	q      *sequencer.Sequencer
	cancel context.CancelFunc
	parts  sync.WaitGroup
	counts [submitters]int // orders; each used by its submitter
}

func openHall(ctx context.Context, url string) (*hall, error) {
	h := &hall{}
	var err error
	if h.log, err = postgres.Open(postgres.Config{URL: url}); err != nil {
		return nil, err
	}
	if h.q, err = sequencer.New(sequencer.Config{Log: h.log}); err != nil {
		return nil, errors.Join(err, h.log.Close())
	}
	ctx, h.cancel = context.WithCancel(ctx)
	for _, part := range []func(context.Context) error{h.log.Run, h.q.Run} {
		h.parts.Go(func() { _ = part(ctx) }) // a failure shows in the answers
	}
	if err := h.furnish(ctx); err != nil {
		h.end()
		return nil, err
	}
	return h, nil
}

func (h *hall) end() {
	h.cancel()
	h.parts.Wait()
	_ = h.log.Close()
}

// furnish opens accounts and a market that no guard stops.
func (h *hall) furnish(ctx context.Context) error {
	policy := engine.DefaultPolicy()
	policy.OrderInterval, policy.OrderBurst = 1, 1_000_000
	commands := []engine.Command{&engine.Initialise{
		Policy: policy, Template: engine.DefaultTemplate(), Admin: engine.Key{SHA256: engine.Digest{1}, Principal: "boot", Roles: engine.RoleAdmin},
	}}
	for i := range submitters {
		commands = append(commands, &engine.OpenAccount{}, &engine.GrantCredits{Account: engine.AccountID(i + 1), Amount: 1_000_000 * engine.One})
	}
	commands = append(commands, &engine.OpenMarket{
		Template: "binary@1.0.0", Title: "Does it rain?", Creator: 1, Liquidity: 900_000 * engine.One, Price: 500_000,
	})
	for _, c := range commands {
		a, err := h.q.Submit(ctx, sequencer.Request{Principal: "boot", Command: c})
		if err == nil && a.Decision.Code != engine.OK {
			err = fmt.Errorf("%s: %s", a.Decision.Code, a.Decision.Detail)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.Type(), err)
		}
	}
	return nil
}

// order has a submitter's next order decided: it buys a share and sells it, in turn.
func (h *hall) order(ctx context.Context, s int) error {
	k := h.counts[s]
	h.counts[s]++
	key := strconv.Itoa(s) + "-" + strconv.Itoa(k)
	got, err := h.q.Submit(ctx, sequencer.Request{
		Principal: "trader-" + strconv.Itoa(s), Key: key, Input: []byte(key),
		Command: &engine.PlaceOrder{
			Account: engine.AccountID(s + 1), Market: 1, Outcome: engine.Yes, Side: [2]engine.Side{engine.Buy, engine.Sell}[k%2], TIF: engine.IOC, Shares: engine.One,
		},
	})
	if err == nil && got.Decision.Code != engine.OK {
		err = fmt.Errorf("an order is refused: %s", got.Decision.Code)
	}
	return err
}

// turn returns the decisions of a second with all submitters at work.
func (h *hall) turn(ctx context.Context, each time.Duration) (float64, error) {
	var n atomic.Int64
	var failed atomic.Pointer[error]
	var workers sync.WaitGroup
	begin := time.Now()
	for s := range submitters {
		workers.Go(func() {
			for time.Since(begin) < each && failed.Load() == nil {
				if err := h.order(ctx, s); err != nil {
					failed.Store(&err)
					return
				}
				n.Add(1)
			}
		})
	}
	workers.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(n.Load()) / time.Since(begin).Seconds(), nil
}

// loop inserts records as the journal's into a table like the journal's, and knows
// neither lease nor market.
type loop struct {
	conn   *pgx.Conn
	params [][]byte // of one statement; the first says where it begins
	next   int64
}

const loopSQL = `INSERT INTO bare (seq, at, crc, payload)
SELECT $1::bigint + n - 1, $2::bigint, c, p FROM unnest($3::integer[], $4::bytea[]) WITH ORDINALITY AS r (c, p, n)`

func openLoop(ctx context.Context, url string, h *hall) (*loop, error) {
	var payloads [][]byte
	err := h.log.Read(h.log.Next()-loopBatch, func(r journal.Record) error {
		payloads = append(payloads, append([]byte(nil), r.Payload...))
		return nil
	})
	if err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	l := &loop{conn: conn, next: 1}
	_, err = conn.Exec(ctx, "CREATE TABLE bare (seq bigint PRIMARY KEY CHECK (seq > 0), at bigint NOT NULL, crc integer NOT NULL, payload bytea NOT NULL); "+
		"ALTER TABLE bare ALTER COLUMN payload SET STORAGE EXTERNAL")
	if err == nil {
		_, err = conn.Prepare(ctx, "bare", loopSQL)
	}
	if err != nil {
		l.end()
		return nil, err
	}
	crcs := make([]int32, len(payloads))
	for _, v := range []any{time.Now().UnixMicro(), crcs, payloads} {
		b, err := conn.TypeMap().Encode([]uint32{20, 1007, 1001}[len(l.params)], pgx.BinaryFormatCode, v, nil)
		if err != nil {
			l.end()
			return nil, err
		}
		l.params = append(l.params, b)
	}
	return l, nil
}

func (l *loop) end() { _ = l.conn.Close(context.Background()) }

// send puts one statement on its way, with a commit of its own.
func (l *loop) send(p *pgconn.Pipeline) error {
	first := binary.BigEndian.AppendUint64(nil, uint64(l.next))
	l.next += loopBatch
	p.SendQueryPrepared("bare", append([][]byte{first}, l.params...), []int16{1}, []int16{1})
	return p.Sync()
}

// receive waits until one statement is committed.
func receive(p *pgconn.Pipeline) error {
	for {
		got, err := p.GetResults()
		if err != nil {
			return err
		}
		switch x := got.(type) {
		case *pgconn.ResultReader:
			if tag, err := x.Close(); err != nil || tag.RowsAffected() != loopBatch {
				return fmt.Errorf("%d rows were inserted: %w", tag.RowsAffected(), err)
			}
		case *pgconn.PipelineSync:
			return nil
		}
	}
}

// turn returns the records of a second with two statements on their way.
func (l *loop) turn(ctx context.Context, each time.Duration) (float64, error) {
	p := l.conn.PgConn().StartPipeline(ctx)
	begin, n := time.Now(), 0
	err := l.send(p)
	for err == nil && time.Since(begin) < each {
		if err = l.send(p); err == nil {
			err = receive(p)
		}
		n += loopBatch
	}
	if err == nil {
		err = receive(p)
		n += loopBatch
	}
	took := time.Since(begin)
	if err = errors.Join(err, p.Close()); err != nil {
		return 0, fmt.Errorf("bare loop: %w", err)
	}
	return float64(n) / took.Seconds(), nil
}
