// Package certs is the server's certificate, from two files that others renew.
//
// It promises: a pair that was changed on disk is used for connections that begin a
// moment later, without a restart, and at once when the process is told to look (SIGHUP);
// a pair that does not fit, or is half written, is passed over, told once, shown by a
// metric, and looked at again; nothing older than TLS 1.2 is spoken.
//
// It refuses a pair that is not valid at the start, a private key that others on the
// machine may read, and to make or to fetch certificates: that is an ACME client's
// work. It follows RFC 8446 and RFC 9325 (recommendations for TLS).
package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// look is how often the files are looked at, by whoever connects: a stat of two
// files is nothing beside a handshake, and a flood of those makes no more of them.
const look = time.Second

// watch is how often they are looked at while nobody connects.
const watch = 10 * time.Second

// Pair is a certificate with its key. It is safe for concurrent use.
type Pair struct {
	cert, key string
	log       *slog.Logger
	now       func() time.Time

	mu     sync.Mutex
	pair   *tls.Certificate // what is used
	failed bool             // what is on disk is not it
	marks  [2]mark          // of the files when they were read last, whether or not they fit
	looked time.Time
}

// mark tells one content of a file from another.
type mark struct {
	at   time.Time
	size int64
}

// Open reads the pair: PEM files of the certificate, with those between it and its
// authority, and of the private key. A nil now is time.Now.
func Open(cert, key string, log *slog.Logger, now func() time.Time) (*Pair, error) {
	if now == nil {
		now = time.Now
	}
	p := &Pair{cert: cert, key: key, log: log, now: now}
	if err := p.read(); err != nil {
		return nil, err
	}
	if leaf := p.pair.Leaf; now().After(leaf.NotAfter) || now().Before(leaf.NotBefore) {
		return nil, fmt.Errorf("%s is valid from %s to %s", cert, leaf.NotBefore.Format(time.RFC3339), leaf.NotAfter.Format(time.RFC3339))
	}
	return p, nil
}

// Config returns what a server needs. It speaks HTTP/1.1: the limits of connections
// and requests are counted in connections, of which HTTP/2 has one for many requests.
func (p *Pair) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: p.get}
}

// get returns the pair, as it is on disk now if that fits.
func (p *Pair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.now(); now.Sub(p.looked) >= look {
		p.seek(now)
	}
	return p.pair, nil
}

// seek reads a pair whose files have changed, or are there again. What is missing is
// told once, as what does not fit. The caller holds mu.
func (p *Pair) seek(now time.Time) {
	p.looked = now
	switch marks, err := p.stat(); {
	case err != nil && !p.failed:
		p.refuse(err)
	case err == nil && marks != p.marks:
		p.renew()
	}
}

// Reload reads the pair, whether or not its files look changed.
func (p *Pair) Reload() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked = p.now()
	p.renew()
}

// renew reads the pair and tells what came of it. The caller holds mu.
func (p *Pair) renew() {
	was := p.pair
	if err := p.read(); err != nil {
		p.refuse(err)
		return
	}
	p.failed = false
	what := "the certificate has changed"
	if bytes.Equal(was.Certificate[0], p.pair.Certificate[0]) {
		what = "the certificate was read again and is the same"
	}
	p.log.Info(what, "not_after", p.pair.Leaf.NotAfter.Format(time.RFC3339))
}

func (p *Pair) refuse(err error) {
	p.failed = true
	p.log.Error("the certificate has changed and is not used", "err", err)
}

// Run looks at the files now and then, so that what is wrong with them is told before
// somebody connects, and reads them when a signal comes, until ctx ends.
func (p *Pair) Run(ctx context.Context, signals <-chan os.Signal) {
	tick := time.NewTicker(watch)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			p.Reload()
		case <-tick.C:
			p.mu.Lock()
			p.seek(p.now())
			p.mu.Unlock()
		}
	}
}

// Register shows how the pair stands, or that there is none, if p is nil: then nothing
// fails, and nothing ends.
func (p *Pair) Register(r prometheus.Registerer) error {
	return errors.Join(
		r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "mbp_tls_reload_failed", Help: "1 while the certificate on disk is not the one in use, because it does not fit or is not there.",
		}, func() float64 {
			if failed, _ := p.state(); failed {
				return 1
			}
			return 0
		})),
		r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "mbp_tls_certificate_left_seconds", Help: "Until the certificate in use expires; infinite in plain HTTP.",
		}, func() float64 { _, left := p.state(); return left })),
	)
}

func (p *Pair) state() (failed bool, left float64) {
	if p == nil {
		return false, math.Inf(1)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed, p.pair.Leaf.NotAfter.Sub(p.now()).Seconds()
}

func (p *Pair) stat() (marks [2]mark, err error) {
	for i, name := range []string{p.cert, p.key} {
		info, err := os.Stat(name)
		if err != nil {
			return marks, err
		}
		marks[i] = mark{info.ModTime(), info.Size()}
	}
	return marks, nil
}

// read reads the files. Their marks are taken first: what changes meanwhile is read
// again.
func (p *Pair) read() error {
	marks, err := p.stat()
	if err != nil {
		return err
	}
	p.marks = marks
	if info, err := os.Stat(p.key); err != nil {
		return err
	} else if others := info.Mode().Perm() & 0o007; others != 0 {
		return fmt.Errorf("anybody may use %s (mode %s): %w", p.key, info.Mode().Perm(), fs.ErrPermission)
	}
	pair, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	p.pair = &pair
	return nil
}
