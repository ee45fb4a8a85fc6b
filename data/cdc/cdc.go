// Package cdc turns the journal into the hot tables of the lake.
//
// It promises that every change which a durable decision made to a market, a
// quote, a resolution, an abuse record, a grant of credits, a group or a season becomes
// one row of the lake, in journal order, exactly once over any number of crashes; that
// a row which violates its registered schema goes to the dead-letter folder and
// raises data_contract_break instead of being dropped; and that the lag from the
// durable decision to the durable row is measured for each table, by heartbeats
// when there are no rows, so that a stuck pipeline shows a growing lag.
//
// It refuses to start on a broken registry or on a lake of another journal, and to
// let the name of a group into the lake, because that may say more of a person than
// a pseudonym does (see GroupID). It never writes to the journal and never holds up
// a decision: when the lake fails it keeps its place and tries again. Where the
// journal does not reach back to where the lake ends, it stands still and says what
// the lake lacks: it never leaves a hole.
//
// Change envelopes have the shape of Debezium's (before, after, op, ts_ms,
// source). before is null, as from a source without a full replica identity:
// the tables are logs of states, and the row before is in the lake.
package cdc

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/data/cdc/lake"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/schemas/registry"
)

// Defaults and bounds of Config.
const (
	DefaultFlushEvery = time.Second
	DefaultFlushRows  = 4096
	DefaultHeartbeat  = 5 * time.Second
	MaxHeartbeat      = 10 * time.Second // what the tables' contracts promise
)

// Config of a pipeline. The zero value of every optional field is its default.
type Config struct {
	Lake       string                // folder of the lake; required unless FS is set
	Schemas    fs.FS                 // the schema registry, such as schemas.FS; required
	Registerer prometheus.Registerer // required
	Logger     *slog.Logger          // required

	FlushEvery time.Duration // longest time a row waits for its file; 1 s
	FlushRows  int           // rows that make a file at once; 4,096
	Heartbeat  time.Duration // how often an idle table reports its lag; 5 s, at most 10 s

	// Head returns the last durable decision of the journal. With it a source
	// that stopped delivering shows as lag; without it only a stuck lake does.
	Head func() engine.Seq
	// Start returns the state of the newest snapshot that covers nothing after a
	// decision, nil if there is none; the caller owns it. It is asked where the
	// journal has its first decision no more; without it that is an error of Run.
	Start func(last engine.Seq) (*core.State, error)
	FS    lake.FS          // the lake's disk; the folder Lake by default
	Now   func() time.Time // the clock for lag; time.Now by default
}

func (c *Config) validate() error {
	var errs []error
	if c.Lake == "" && c.FS == nil {
		errs = append(errs, errors.New("the lake's folder is missing"))
	}
	if c.Schemas == nil || c.Registerer == nil || c.Logger == nil {
		errs = append(errs, errors.New("the fields Schemas, Registerer and Logger are required"))
	}
	if c.FlushEvery < 0 || c.FlushRows < 0 || c.Heartbeat < 0 || c.Heartbeat > MaxHeartbeat {
		errs = append(errs, fmt.Errorf("FlushEvery and FlushRows must not be negative, Heartbeat lies in 0..%s", MaxHeartbeat))
	}
	return errors.Join(errs...)
}

func (c *Config) setDefaults() {
	if c.FlushEvery == 0 {
		c.FlushEvery = DefaultFlushEvery
	}
	if c.FlushRows == 0 {
		c.FlushRows = DefaultFlushRows
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = DefaultHeartbeat
	}
	if c.FS == nil {
		c.FS = lake.OS(c.Lake)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

// Pipeline moves decisions into the lake. Create it with New, then Run it; after
// an error that may pass, run it again: it goes on where the lake ends.
type Pipeline struct {
	cfg     Config
	reg     *registry.Registry
	metrics *metrics
	logID   string     // identity of the journal, kept in the lake; owned by Run
	lake    *lake.Lake // owned by Run
	mu      sync.Mutex
	track   tracker // guarded by mu
	running bool    // guarded by mu
	lack    *Lack   // guarded by mu
}

// New checks the configuration and the schemas and registers the metrics. It
// touches no lake and starts nothing.
func New(cfg Config) (*Pipeline, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("cdc: %w", err)
	}
	cfg.setDefaults()
	reg, err := registry.Load(cfg.Schemas)
	if err != nil {
		return nil, fmt.Errorf("cdc: %w", err)
	}
	for _, t := range Tables() {
		if _, err := reg.Latest(t); err != nil {
			return nil, fmt.Errorf("cdc: %w", err)
		}
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("cdc: %w", err)
	}
	return &Pipeline{cfg: cfg, reg: reg, metrics: m}, nil
}

// resume opens and recovers the lake, and returns the first decision that is
// not in it. It may be called again.
func (p *Pipeline) resume() (from engine.Seq, err error) {
	if p.lake == nil {
		l, err := lake.Open(lake.Config{FS: p.cfg.FS, Registry: p.reg, LogID: p.logID})
		if err != nil {
			return 0, fmt.Errorf("cdc: %w", err)
		}
		p.lake = l
		p.mu.Lock()
		p.track.durable = l.Checkpoint()
		p.track.received = l.Checkpoint()
		p.mu.Unlock()
		p.metrics.position.Set(float64(l.Checkpoint()))
		if err := p.inspect(); err != nil {
			return 0, fmt.Errorf("cdc: %w", err)
		}
	}
	return p.Position() + 1, nil
}

// Position returns the last decision whose rows are durable in the lake. It is
// safe for concurrent use.
func (p *Pipeline) Position() engine.Seq {
	p.mu.Lock()
	defer p.mu.Unlock()
	return engine.Seq(p.track.durable)
}

// Running says whether the lake is open and decisions are moving into it. It is
// safe for concurrent use.
func (p *Pipeline) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running
}

func (p *Pipeline) setRunning(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = yes
}

// Tables returns the hot tables in alphabetical order.
func Tables() []string {
	return []string{tableAbuse, tableGrants, tableGroups, tableMarkets, tableQuotes, tableResolutions, tableSeasons}
}

const (
	tableAbuse       = "mbp_abuse_events"
	tableGrants      = "mbp_grants"
	tableGroups      = "mbp_groups"
	tableMarkets     = "mbp_markets"
	tableQuotes      = "mbp_quotes"
	tableResolutions = "mbp_resolutions"
	tableSeasons     = "mbp_seasons"
)
