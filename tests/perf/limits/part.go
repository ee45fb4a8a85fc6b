package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A part is a process of ours that is measured. It prints a hello, reads orders
// from its standard input and answers each with one line; the end of the input
// ends it.

// hello is a part's first line.
type hello struct {
	Address string   `json:"address,omitempty"` // of its HTTP server
	Keys    []string `json:"keys"`              // secrets of API keys
}

// order is what a part has to do: to submit from so many goroutines for a time,
// or, with none, only to tell its processor time.
type order struct {
	Submitters int           `json:"submitters"`
	Length     time.Duration `json:"length"`
}

// done is the answer.
type done struct {
	Count     int64   `json:"count"`
	Seconds   float64 `json:"seconds"`
	Processor float64 `json:"processor_seconds"`       // meanwhile
	Total     float64 `json:"processor_seconds_total"` // since the part began
}

// part is the parent's end of it.
type part struct {
	hello hello
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
}

func startPart(ctx context.Context, name, dir string, stderr io.Writer) (*part, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &part{cmd: exec.CommandContext(ctx, self, "part", name, filepath.Join(dir, name))}
	p.cmd.Stderr = stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if err := p.line(&p.hello); err != nil {
		return nil, errors.Join(err, p.end())
	}
	return p, nil
}

func (p *part) line(v any) error {
	b, err := p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the part ended: %w", err)
	}
	return json.Unmarshal(b, v)
}

func (p *part) ask(o order) (d done, err error) {
	if err := json.NewEncoder(p.in).Encode(o); err != nil {
		return d, err
	}
	err = p.line(&d)
	return d, err
}

func (p *part) end() error {
	return errors.Join(p.in.Close(), p.cmd.Wait())
}

// subject is what a part measures.
type subject struct {
	hello  hello
	submit func(submitter, i int) error // nil: over HTTP only
	end    func() error
}

// servePart is the part's end.
func servePart(ctx context.Context, name string, args []string, stdin io.Reader, stdout io.Writer) (err error) {
	if len(args) != 1 {
		return errors.New("a part needs its folder")
	}
	if err := os.MkdirAll(args[0], 0o755); err != nil {
		return err
	}
	open := map[string]func(context.Context, string) (*subject, error){"raw": openRaw, "bare": openBare, "decide": openDecide, "full": openFull}[name]
	if open == nil {
		return errors.New("there is no such part")
	}
	s, err := open(ctx, args[0])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	out := json.NewEncoder(stdout)
	if err := out.Encode(s.hello); err != nil {
		return err
	}
	for in := json.NewDecoder(stdin); ; {
		var o order
		if err := in.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		d, err := s.do(o)
		if err != nil {
			return err
		}
		if err := out.Encode(d); err != nil {
			return err
		}
	}
}

// do submits from so many goroutines, each of which waits for its answer before it
// goes on.
func (s *subject) do(o order) (done, error) {
	before, begin := processor(), time.Now()
	var stop atomic.Bool
	var count atomic.Int64
	timer := time.AfterFunc(o.Length, func() { stop.Store(true) })
	defer timer.Stop()
	errs := make([]error, o.Submitters)
	var wg sync.WaitGroup
	for i := range o.Submitters {
		wg.Go(func() {
			n := 0
			for ; !stop.Load() && errs[i] == nil; n++ {
				errs[i] = s.submit(i, n)
			}
			count.Add(int64(n))
		})
	}
	wg.Wait()
	total := processor()
	return done{Count: count.Load(), Seconds: time.Since(begin).Seconds(), Processor: total - before, Total: total}, errors.Join(errs...)
}

// processor is the time that this process has had on processors, in seconds.
func processor() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
