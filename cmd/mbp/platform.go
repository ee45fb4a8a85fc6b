package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/mbp-market/mbp/cmd/mbp/certs"
	"github.com/mbp-market/mbp/cmd/mbp/machine"
	"github.com/mbp-market/mbp/cmd/mbp/retain"
	"github.com/mbp-market/mbp/data/cdc"
	"github.com/mbp-market/mbp/data/cdc/lake"
	"github.com/mbp-market/mbp/data/contracts"
	"github.com/mbp-market/mbp/data/export"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/audit"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi"
	"github.com/mbp-market/mbp/engine/httpapi/admit"
	"github.com/mbp-market/mbp/engine/httpapi/lastday"
	"github.com/mbp-market/mbp/engine/httpapi/sockets"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
	"github.com/mbp-market/mbp/engine/snapshot"
	"github.com/mbp-market/mbp/engine/webhook"
	"github.com/mbp-market/mbp/fe"
	"github.com/mbp-market/mbp/schemas"
)

// platform is everything that mbp serve wires together.
type platform struct {
	log     *slog.Logger
	cfg     Config
	journal runningLog
	files   *file.Log   // the journal, if it is the embedded one
	lock    io.Closer   // of the data folder, if the journal is not in it
	tree    *audit.Tree // nil if it is turned off
	seq     *sequencer.Sequencer

	snapshots *snapshot.Store
	follower  *snapshot.Follower // nil if it is turned off

	source   *source
	pipeline *cdc.Pipeline
	texts    textStore
	webhooks *webhook.Dispatcher
	pair     *certs.Pair // nil in plain HTTP
	days     *lastday.Days
	api      *httpapi.API
	server   *http.Server
	conns    int // most connections at once
	listener *sockets.Listener

	keeper   *retain.Keeper // nil if there is no archive
	snapshot func() uint64  // the sequence after what the oldest snapshot covers, 0: none; nil: nobody makes any

	writer atomic.Pointer[error] // why the writer takes no decisions
	lake   atomic.Pointer[error] // why no rows move into the lake

	writerDone, lakeDone, auditDone chan struct{}
}

// runningLog is a journal that has something to do beside appends.
type runningLog interface {
	journal.Log
	Run(ctx context.Context) error
}

var (
	errStarting error = httpapi.NotReady("starting")
	errStandby  error = httpapi.NotReady("standing by: another process decides")
)

// open makes every part and starts none. Opening the journal checks every
// record of it; making the writer folds them.
func open(cfg Config, log *slog.Logger) (*platform, error) {
	p := &platform{cfg: cfg, log: log, writerDone: make(chan struct{}), lakeDone: make(chan struct{}), auditDone: make(chan struct{})}
	p.writer.Store(&errStarting)
	p.lake.Store(&errStarting)
	if err := machine.DataFolder(cfg.Data); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if p.conns = machine.Connections(cfg.MaxConnections); p.conns < cfg.MaxConnections {
		log.Warn("half of the file descriptors stay for the files; raise the limit of the process for more connections", "connections", p.conns)
	}
	log.Info("processors", "threads", machine.Processors())
	log.Info("heap", "collected_from_bytes", machine.Heap()) // 0: as GOGC says
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := p.openJournal(metrics); err != nil {
		return nil, err
	}
	if err := p.wire(metrics); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *platform) wire(metrics *prometheus.Registry) (err error) {
	start, twin, err := p.startStates()
	if err != nil {
		return err
	}
	p.seq, err = sequencer.New(sequencer.Config{
		Log: p.journal, Start: start, Twin: twin, Standby: p.cfg.Journal != "", Now: time.Now, Queue: p.cfg.Queue, MaxBatch: p.cfg.MaxBatch, Registerer: metrics, Logger: p.log,
	})
	if err != nil {
		return err
	}
	if err := p.follow(metrics); err != nil {
		return err
	}
	p.source = follow(p.journal)
	p.pipeline, err = cdc.New(cdc.Config{
		Lake: filepath.Join(p.cfg.Data, "lake"), Schemas: schemas.FS, Registerer: metrics, Logger: p.log,
		FlushEvery: p.cfg.CDCFlush, Head: p.seq.Durable, Start: p.snapshotUpTo,
	})
	if err != nil {
		return err
	}
	if err := p.keepJournal(metrics); err != nil {
		return err
	}
	if p.cfg.DbtResults != "" {
		if err := metrics.Register(contracts.NewDbtCollector(filepath.Dir(p.cfg.DbtResults), p.log)); err != nil {
			return fmt.Errorf("register the dbt metric: %w", err)
		}
	}
	panel, err := fe.Panel()
	if err != nil {
		p.log.Warn("the page says so", "err", err)
		panel = fs.FS(nil)
	}
	policy, err := fe.Policy(p.cfg.RUMURL)
	if err != nil {
		return err
	}
	if p.texts, err = p.cfg.openTexts(); err != nil {
		return err
	}
	who, err := p.identity()
	if err != nil {
		return err
	}
	if err := p.openWebhooks(metrics); err != nil {
		return err
	}
	p.api, err = httpapi.New(httpapi.Config{
		Identity: who, LastDays: p.openLastDays(), Texts: p.texts, Webhooks: p.webhooks,
		Sequencer: p.seq, Registerer: metrics, Gatherer: metrics, Logger: p.log,
		Panel: panel, PanelPolicy: policy, PanelConfig: httpapi.PanelConfig{RUMURL: p.cfg.RUMURL, Env: p.cfg.Env},
		Audit: p.proofs(), Export: p.export, Ready: p.ready, MaxBody: p.cfg.MaxBody,
		MaxStreams: min(p.cfg.MaxStreams, max(1, p.conns/2)), // the other half stays for requests
		MaxIntake:  p.cfg.Queue, Rates: admit.Rates{Trader: p.cfg.traders(), Staff: p.cfg.staff(), Read: p.cfg.reads(), Admit: p.cfg.everybody()},
	})
	if err != nil {
		return err
	}
	p.server = httpapi.NewServer(p.api, p.log)
	return p.openTLS(metrics)
}

// export writes a table from the journal, and positions from the read model.
func (p *platform) export(ctx context.Context, w io.Writer, q httpapi.ExportQuery) error {
	err := export.Write(ctx, w, &live{export.OverLog(p.journal), p.seq.View}, export.Query(q))
	if errors.Is(err, journal.ErrArchived) {
		return &sequencer.ArchivedError{Kept: engine.Seq(p.journal.First())}
	}
	return err
}

// live is the source of a server's exports.
type live struct {
	export.Source
	view func(func(*core.State))
}

// Holdings implements export.Source with what is held now.
func (l *live) Holdings(ctx context.Context, _ engine.Seq, fn func(export.Holding) error) error {
	return export.HoldingsOf(ctx, l.view, fn)
}

// start runs every part in the group: the writer first, then, once the journal
// has its first decision, its readers and the listener. failed ends when a part
// does.
func (p *platform) start(life, failed context.Context, g *errgroup.Group, l net.Listener) error {
	g.Go(func() error { return p.journal.Run(life) })
	g.Go(func() error {
		defer close(p.writerDone)
		err := p.seq.Run(life)
		stopped := errors.Join(httpapi.NotReady("the writer has stopped"), err)
		p.writer.Store(&stopped)
		return err
	})
	if err := p.begin(failed); err != nil {
		return err
	}
	p.writer.CompareAndSwap(&errStarting, &errStandby)
	g.Go(func() error {
		select {
		case <-p.seq.Leading():
			p.writer.CompareAndSwap(&errStandby, nil)
		case <-life.Done():
		}
		return nil
	})
	if p.follower != nil {
		g.Go(func() error { return p.follower.Run(life) })
	}
	g.Go(func() error {
		defer close(p.lakeDone)
		p.runLake(life)
		return nil
	})
	g.Go(func() error {
		defer close(p.auditDone)
		if p.tree != nil {
			p.runAudit(life)
		}
		return nil
	})
	if keeper := p.keeper; keeper != nil {
		g.Go(func() error { return keeper.Run(life) })
	}
	g.Go(func() error {
		if err := p.webhooks.Run(life); err != nil { // the market goes on
			p.log.Error("webhooks are told nothing until the next start", "err", err)
		}
		return nil
	})
	g.Go(func() error { p.days.Run(life); return nil })
	p.watchTLS(life, g)
	g.Go(func() error { return p.api.Run(life) })
	p.listener = sockets.Limit(l, p.conns)
	g.Go(func() error {
		if err := p.serve(); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	return nil
}

// begin waits until the journal has its first decision: from this process, if it
// leads, else from the one that does.
func (p *platform) begin(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	known := make(chan error, 1)
	go func() { known <- p.seq.Wait(ctx, 1) }()
	select {
	case <-p.seq.Leading():
		return bootstrap(ctx, p.seq, p.cfg.Data)
	case err := <-known:
		return err
	}
}

// serve answers on the listener, by TLS if there is a certificate.
func (p *platform) serve() error {
	if p.server.TLSConfig != nil {
		return p.server.ServeTLS(p.listener, "", "")
	}
	return p.server.Serve(p.listener)
}

// The change capture is tried again after firstRetry, doubling up to lastRetry:
// each time it reads the journal from the start.
const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 15 * time.Second
)

// runLake moves decisions into the lake. When that ends with an error the
// platform goes on deciding, because what is in the journal is safe; but it is
// not ready, and says why. An error of the machine may pass, so the capture is
// tried again; with one of the data it stops until somebody has looked.
func (p *platform) runLake(life context.Context) {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		p.lake.Store(nil)
		began := time.Now()
		err := p.pipeline.Run(life, p.source)
		if err == nil || !passing(err) || p.source.drained() || life.Err() != nil {
			stopped := errors.Join(httpapi.NotReady("the change capture has stopped"), err)
			p.lake.Store(&stopped)
			if err != nil {
				p.log.Error("change capture", "err", err)
			}
			return
		}
		if time.Since(began) > lastRetry { // it has worked in between
			wait = firstRetry
		}
		paused := errors.Join(httpapi.NotReady("the change capture is tried again in "+wait.String()), err)
		p.lake.Store(&paused)
		p.log.Warn("change capture", "err", err, "retry_in", wait)
		p.source.again(life, wait)
	}
}

// passing tells an error of the machine, such as too many open files or a full
// disk, from one that the same data would give again.
func passing(err error) bool {
	var corrupt *journal.CorruptError
	if errors.Is(err, cdc.ErrAhead) || errors.Is(err, lake.ErrOtherLog) || errors.As(err, &corrupt) {
		return false
	}
	var no syscall.Errno
	return errors.As(err, &no) || errors.Is(err, cdc.ErrGap)
}

// ready says why the platform is not ready, or, with a Notice, what is amiss though
// it is.
func (p *platform) ready() error {
	for _, reason := range []*error{p.writer.Load(), p.lake.Load()} {
		if reason != nil {
			return *reason
		}
	}
	if l := p.pipeline.Lacks(); l != nil { // trading goes on
		return httpapi.Notice(fmt.Sprintf("the lake lacks decisions from %d on: it needs a start with --archive", l.From))
	}
	if !p.pipeline.Running() {
		return httpapi.NotReady("the lake is being opened")
	}
	return nil
}

// The parts of a shutdown's grace, and what lies beyond it.
const (
	takeAnswers = 3 // one part in so many is for clients to take their answers
	giveAnswers = 2 // one part in so many is for the edge to end
	// lastWait is what writer, lake and audit tree get even if the grace is over: they end
	// within milliseconds unless the disk is stuck, and the journal is closed after
	// them.
	lastWait = time.Second
)

// shutdown ends the parts in order. Clients that do not take their answers have a
// third of the grace, and whatever becomes of them, the lake and the writer are
// waited for. It stops early when grace ends.
func (p *platform) shutdown(grace context.Context, end context.CancelFunc) error {
	p.api.Drain() // readyz fails, new mutations get 503, streams end
	edge, cancel := grace, context.CancelFunc(func() {})
	if last, ok := grace.Deadline(); ok {
		left := time.Until(last)
		p.listener.Until(time.Now().Add(left / takeAnswers))
		edge, cancel = context.WithTimeoutCause(grace, left/giveAnswers, fmt.Errorf("requests were under way after %s", left/giveAnswers))
	}
	defer cancel()
	err := p.server.Shutdown(edge) // every admitted request gets its answer
	if err != nil {
		_ = p.server.Close()
		err = context.Cause(edge)
	}
	p.source.drain() // lake and audit tree take what the journal has, and end
	if p.tree != nil {
		p.tree.Drain()
	}
	for _, part := range []<-chan struct{}{p.lakeDone, p.auditDone} {
		if late := wait(grace, part); err == nil {
			err = late
		}
	}
	end() // the writer and the streams end
	least, done := context.WithTimeout(context.WithoutCancel(grace), lastWait)
	defer done()
	for _, part := range []<-chan struct{}{p.writerDone, p.lakeDone, p.auditDone} {
		if late := wait(grace, part); late != nil && wait(least, part) != nil && err == nil {
			err = late
		}
	}
	return err
}

func wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close ends the journal; it is the last thing that ends.
func (p *platform) close() {
	if p.texts != nil {
		if err := p.texts.Close(); err != nil {
			p.log.Error("close the store of texts", "err", err)
		}
	}
	if p.tree != nil {
		if err := p.tree.Close(); err != nil {
			p.log.Error("close the audit tree", "err", err)
		}
	}
	if err := p.journal.Close(); err != nil {
		p.log.Error("close the journal", "err", err)
	}
	if p.lock != nil {
		if err := p.lock.Close(); err != nil {
			p.log.Error("unlock the data folder", "err", err)
		}
	}
}

// source feeds the lake from the journal until it is told to drain; then it ends
// at the journal's head, so that everything is flushed.
type source struct {
	journal  cdc.Reader
	log      *cdc.Follower // owned by who runs the pipeline
	draining chan struct{}
	once     sync.Once
}

func follow(log cdc.Reader) *source {
	return &source{journal: log, log: cdc.Follow(log, 0), draining: make(chan struct{})}
}

func (s *source) drain() { s.once.Do(func() { close(s.draining) }) }

func (s *source) drained() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}

// again starts over after a while, or at once if the end is near.
func (s *source) again(ctx context.Context, wait time.Duration) {
	s.log = cdc.Follow(s.journal, 0)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-s.draining:
	case <-timer.C:
	}
}

// Seek implements cdc.Seeker.
func (s *source) Seek(next uint64) { s.log.Seek(next) }

// Next implements cdc.Source.
func (s *source) Next(ctx context.Context) (cdc.Committed, error) {
	for {
		last := s.drained()
		c, err := s.log.Next(ctx)
		if !errors.Is(err, io.EOF) || last {
			return c, err
		}
		timer := time.NewTimer(cdc.DefaultPoll)
		select {
		case <-ctx.Done():
			timer.Stop()
			return cdc.Committed{}, ctx.Err()
		case <-s.draining:
			timer.Stop()
		case <-timer.C:
		}
	}
}
