package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/snapshot"
)

// batchRecords are appended at once: nobody waits for an answer here.
const batchRecords = 4096

// madeName holds the result of making a journal, for a run that uses it again.
const madeName = "made.json"

func journalDir(dir string) string   { return filepath.Join(dir, "journal") }
func snapshotsDir(dir string) string { return filepath.Join(dir, "snapshots") }

// make makes the journal and the snapshot, unless they are there.
func (o *options) make(ctx context.Context, stderr io.Writer) (result, error) {
	if b, err := os.ReadFile(filepath.Join(o.dir, madeName)); err == nil && o.keep {
		var r result
		err := json.Unmarshal(b, &r)
		return r, err
	}
	if err := os.RemoveAll(o.dir); err != nil {
		return result{}, err
	}
	log, err := file.Open(file.Config{Dir: journalDir(o.dir)})
	if err != nil {
		return result{}, err
	}
	m := &maker{size: o.size, log: log, s: core.New(), rng: rand.New(rand.NewPCG(1, 2)), dir: o.dir, stderr: stderr} //nolint:gosec // reproducible, not secret
	err = m.make(ctx)
	if err = errors.Join(err, log.Close()); err != nil {
		return result{}, err
	}
	m.out.Hash = m.s.Hash().String()
	if m.out.FileBytes, err = folderSize(journalDir(o.dir)); err != nil {
		return result{}, err
	}
	b, err := json.Marshal(m.out)
	if err != nil {
		return result{}, err
	}
	return m.out, os.WriteFile(filepath.Join(o.dir, madeName), b, 0o600)
}

func folderSize(dir string) (n int64, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if i, err := e.Info(); err == nil {
			n += i.Size()
		}
	}
	return n, err
}

// maker decides and appends: accounts, markets and waiting orders first, then
// trading that leaves as many orders as there were.
type maker struct {
	size
	log    *file.Log
	s      *core.State
	rng    *rand.Rand
	dir    string
	stderr io.Writer

	d       engine.Decision
	now     engine.Time
	batch   [][]byte
	waiting []engine.OrderID // some that wait, of account i % Accounts
	owner   []engine.AccountID
	codes   map[engine.Code]int
	out     result
	began   time.Time
	told    int
}

func (m *maker) make(ctx context.Context) error {
	m.began, m.now, m.codes = time.Now(), 1_767_355_200_000_000, map[engine.Code]int{}
	t := engine.DefaultTemplate()
	t.Guard.ReopenAfter = 60 * engine.One
	p := engine.DefaultPolicy()
	p.OrderInterval, p.OrderBurst, p.MaxOpenOrders = 1, 1_000_000, 1000
	if err := m.do("boot", &engine.Initialise{Policy: p, Template: t, Admin: engine.Key{SHA256: engine.Digest{1}, Principal: "admin", Roles: engine.RoleAdmin}}); err != nil {
		return err
	}
	for a := range m.Accounts {
		if err := errors.Join(m.do("ops", &engine.OpenAccount{}), m.do("ops", &engine.GrantCredits{Account: engine.AccountID(a + 1), Amount: 20_000 * engine.One})); err != nil {
			return err
		}
	}
	for range m.Markets {
		if err := m.do("ops", &engine.OpenMarket{Template: t.Name(), Title: "Will it ship?", Creator: m.account(), Liquidity: 1000 * engine.One, Price: 500_000}); err != nil {
			return err
		}
	}
	for int(m.s.Seq()) < m.Decisions {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		a := m.account()
		if err := m.do(fmt.Sprintf("trader-%d", a), m.trade(a)); err != nil {
			return err
		}
	}
	return m.flush()
}

func (m *maker) account() engine.AccountID { return engine.AccountID(1 + m.rng.IntN(m.Accounts)) }

// trade is what an account does: a new order that waits while there are too few, or
// else one of equal parts of orders that trade, that wait and that are cancelled.
func (m *maker) trade(a engine.AccountID) engine.Command {
	market := engine.MarketID(1 + m.rng.IntN(m.Markets))
	switch k := m.rng.IntN(10); {
	case len(m.waiting) < m.Orders || k < 3:
		return &engine.PlaceOrder{
			Account: a, Market: market, Outcome: engine.Outcome(m.rng.IntN(2)), Side: engine.Buy, TIF: engine.GTC, Shares: engine.Shares(engine.One + m.rng.IntN(10*engine.One)),
			Limit: engine.Price(300_000 + 1000*m.rng.IntN(150)),
		}
	case k < 6:
		i := m.rng.IntN(len(m.waiting))
		x := &engine.CancelOrder{Account: m.owner[i], Order: m.waiting[i]}
		last := len(m.waiting) - 1
		m.waiting[i], m.owner[i] = m.waiting[last], m.owner[last]
		m.waiting, m.owner = m.waiting[:last], m.owner[:last]
		return x
	}
	return &engine.PlaceOrder{Account: a, Market: market, Outcome: engine.Outcome(m.rng.IntN(2)), Side: engine.Buy, TIF: engine.IOC, Amount: engine.Micros(engine.One + m.rng.IntN(5*engine.One))}
}

// do decides a command, after what has fallen due, as the writer would.
func (m *maker) do(principal string, c engine.Command) error {
	m.now += 1000
	for {
		due := m.s.Due(m.now)
		if due == nil {
			break
		}
		if err := m.step(engine.Request{At: m.now, Principal: engine.System, Command: due}); err != nil {
			return err
		}
	}
	seq := m.s.Seq() + 1
	return m.step(engine.Request{
		At: m.now, Principal: principal, Command: c,
		Key: engine.Tag{1, byte(seq >> 24), byte(seq >> 16), byte(seq >> 8), byte(seq), 7: byte(m.rng.Uint32())}, Input: engine.Tag{byte(seq)},
	})
}

func (m *maker) step(r engine.Request) error {
	if int(m.s.Seq()) >= m.Decisions {
		return nil
	}
	if err := m.s.Step(r, &m.d); err != nil {
		return err
	}
	m.codes[m.d.Code]++
	for _, e := range m.d.Events {
		if x, ok := e.(*engine.OrderRested); ok {
			m.waiting, m.owner = append(m.waiting, x.Order), append(m.owner, x.Account)
		}
	}
	b := m.d.Append(nil)
	m.out.RecordBytes += int64(len(b))
	m.batch = append(m.batch, b)
	if len(m.batch) == batchRecords {
		if err := m.flush(); err != nil {
			return err
		}
	}
	if int(m.s.Seq()) == m.Decisions-m.Tail {
		return m.snapshot()
	}
	return nil
}

func (m *maker) flush() error {
	if len(m.batch) == 0 {
		return nil
	}
	first := uint64(m.s.Seq()) - uint64(len(m.batch)) + 1
	if err := m.log.Append(first, int64(m.now), m.batch); err != nil {
		return err
	}
	m.batch = m.batch[:0]
	if m.told++; m.told%250 == 0 {
		fmt.Fprintf(m.stderr, "made %d of %d decisions, %d orders wait, %.0f s\n", m.s.Seq(), m.Decisions, len(m.waiting), time.Since(m.began).Seconds())
	}
	return nil
}

// snapshot writes the snapshot and measures the dump.
func (m *maker) snapshot() error {
	store, err := snapshot.OpenStore(file.OS{}, snapshotsDir(m.dir))
	if err != nil {
		return err
	}
	begin := time.Now()
	i, err := store.Write(m.s)
	m.out.Dump, m.out.DumpBytes, m.out.SnapshotHash = time.Since(begin).Seconds(), i.Size, i.Hash.String()
	return err
}
