// Package certs is the server's certificate, from two files that others renew.
//
// It promises: a pair that was changed on disk is used for connections that begin a
// moment later, without a restart; a pair that does not fit, or is half written, is
// passed over, told once, and looked at again; nothing older than TLS 1.2 is spoken.
//
// It refuses a pair that is not valid at the start, a private key that others on the
// machine may read, and to make or to fetch certificates: that is an ACME client's
// work. It follows RFC 8446 and RFC 9325 (recommendations for TLS).
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// look is how often the files are looked at, by whoever connects: a stat of two
// files is nothing beside a handshake, and a flood of those makes no more of them.
const look = time.Second

// Pair is a certificate with its key. It is safe for concurrent use.
type Pair struct {
	cert, key string
	log       *slog.Logger
	now       func() time.Time

	mu     sync.Mutex
	pair   *tls.Certificate // what is used
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
		p.looked = now
		if marks, err := p.stat(); err == nil && marks != p.marks {
			p.renew()
		}
	}
	return p.pair, nil
}

// renew reads a pair that has changed, and tells what came of it.
func (p *Pair) renew() {
	if err := p.read(); err != nil {
		p.log.Error("the certificate has changed and is not used", "err", err)
		return
	}
	p.log.Info("the certificate has changed", "not_after", p.pair.Leaf.NotAfter.Format(time.RFC3339))
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
