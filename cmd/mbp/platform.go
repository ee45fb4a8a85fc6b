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
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/mbp-market/mbp/data/cdc"
	"github.com/mbp-market/mbp/data/contracts"
	"github.com/mbp-market/mbp/engine/httpapi"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
	"github.com/mbp-market/mbp/fe"
	"github.com/mbp-market/mbp/schemas"
)

// platform is everything that mbp serve wires together.
type platform struct {
	log      *slog.Logger
	cfg      Config
	journal  *file.Log
	seq      *sequencer.Sequencer
	source   *source
	pipeline *cdc.Pipeline
	api      *httpapi.API
	server   *http.Server

	writer atomic.Pointer[error] // why the writer takes no decisions
	lake   atomic.Pointer[error] // why no rows move into the lake

	writerDone, lakeDone chan struct{}
}

var errStarting = errors.New("starting")

// open makes every part and starts none. Opening the journal checks every
// record of it; making the writer folds them.
func open(cfg Config, log *slog.Logger) (*platform, error) {
	p := &platform{cfg: cfg, log: log, writerDone: make(chan struct{}), lakeDone: make(chan struct{})}
	p.writer.Store(&errStarting)
	p.lake.Store(&errStarting)
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var err error
	if p.journal, err = file.Open(file.Config{Dir: filepath.Join(cfg.Data, "journal"), Logger: log}); err != nil {
		return nil, err
	}
	if err = p.wire(metrics); err != nil {
		return nil, errors.Join(err, p.journal.Close())
	}
	return p, nil
}

func (p *platform) wire(metrics *prometheus.Registry) (err error) {
	p.seq, err = sequencer.New(sequencer.Config{
		Log: p.journal, Now: time.Now, Queue: p.cfg.Queue, MaxBatch: p.cfg.MaxBatch, Registerer: metrics, Logger: p.log,
	})
	if err != nil {
		return err
	}
	p.source = follow(p.journal)
	p.pipeline, err = cdc.New(cdc.Config{
		Lake: filepath.Join(p.cfg.Data, "lake"), Schemas: schemas.FS, Registerer: metrics, Logger: p.log,
		FlushEvery: p.cfg.CDCFlush, Head: p.seq.Durable,
	})
	if err != nil {
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
	p.api, err = httpapi.New(httpapi.Config{
		Sequencer: p.seq, Registerer: metrics, Gatherer: metrics, Logger: p.log,
		Panel: panel, PanelPolicy: policy, PanelConfig: httpapi.PanelConfig{RUMURL: p.cfg.RUMURL, Env: p.cfg.Env},
		Ready: p.ready, MaxBody: p.cfg.MaxBody, MaxStreams: p.cfg.MaxStreams,
	})
	if err != nil {
		return err
	}
	p.server = httpapi.NewServer(p.api, p.log)
	return nil
}

// start runs every part in the group: the writer first, then, once the journal
// has its first decision, its readers and the listener. failed ends when a part
// does.
func (p *platform) start(life, failed context.Context, g *errgroup.Group, l net.Listener) error {
	g.Go(func() error {
		defer close(p.writerDone)
		err := p.seq.Run(life)
		stopped := errors.Join(errors.New("the writer has stopped"), err)
		p.writer.Store(&stopped)
		return err
	})
	if err := bootstrap(failed, p.seq, p.cfg.Data); err != nil {
		return err
	}
	p.writer.CompareAndSwap(&errStarting, nil)
	g.Go(func() error {
		defer close(p.lakeDone)
		p.runLake(life)
		return nil
	})
	g.Go(func() error { return p.api.Run(life) })
	g.Go(func() error {
		if err := p.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	return nil
}

// runLake moves decisions into the lake. When that ends with an error the
// platform goes on deciding, because what is in the journal is safe and the
// next start catches up; but it is not ready, and says why.
func (p *platform) runLake(life context.Context) {
	p.lake.CompareAndSwap(&errStarting, nil)
	err := p.pipeline.Run(life, p.source)
	stopped := errors.Join(errors.New("the change capture has stopped"), err)
	p.lake.Store(&stopped)
	if err != nil {
		p.log.Error("change capture", "err", err)
	}
}

// ready says why the platform is not ready.
func (p *platform) ready() error {
	for _, reason := range []*error{p.writer.Load(), p.lake.Load()} {
		if reason != nil {
			return *reason
		}
	}
	if !p.pipeline.Running() {
		return errors.New("the lake is being opened")
	}
	return nil
}

// shutdown ends the parts in order. It stops early when grace ends.
func (p *platform) shutdown(grace context.Context, end context.CancelFunc) error {
	p.api.Drain()                   // readyz fails, new mutations get 503, streams end
	err := p.server.Shutdown(grace) // every admitted request gets its answer
	if err != nil {
		_ = p.server.Close()
		err = context.Cause(grace)
	}
	p.source.drain() // the lake takes what the journal has, and ends
	if err == nil {
		err = wait(grace, p.lakeDone)
	}
	end() // the writer and the streams end
	if err == nil {
		err = wait(grace, p.writerDone)
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
	if err := p.journal.Close(); err != nil {
		p.log.Error("close the journal", "err", err)
	}
}

// source feeds the lake from the journal until it is told to drain; then it ends
// at the journal's head, so that everything is flushed.
type source struct {
	log      *cdc.Follower
	draining chan struct{}
	once     sync.Once
}

func follow(log cdc.Reader) *source {
	return &source{log: cdc.Follow(log, 0), draining: make(chan struct{})}
}

func (s *source) drain() { s.once.Do(func() { close(s.draining) }) }

// Next implements cdc.Source.
func (s *source) Next(ctx context.Context) (cdc.Committed, error) {
	for {
		last := false
		select {
		case <-s.draining:
			last = true
		default:
		}
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
