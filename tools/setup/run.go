package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const usage = `usage: go run ./tools/setup [flags]

Installs the pinned tools into the user cache and links them into .tools/bin,
.tools/py and node_modules. Safe to repeat; a second run takes well under 5 s.

flags:
`

// options are the command line.
type options struct {
	only  string // comma-separated group names; empty means all
	list  bool   // print the groups and their state, install nothing
	check bool   // compare what is installed with the locks, install nothing
	json  string // with check: file that receives the environment inventory
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("setup", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, usage)
		fs.PrintDefaults()
	}
	fs.StringVar(&o.only, "only", "", "install only these `groups`, comma-separated (see -list)")
	fs.BoolVar(&o.list, "list", false, "print the groups with their state and cache folder")
	fs.BoolVar(&o.check, "check", false, "compare what is installed with the lock files; fail on any difference")
	fs.StringVar(&o.json, "json", "", "with -check: write the environment inventory to `FILE`")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q; see --help", fs.Arg(0))
	}
	if o.json != "" && !o.check {
		return o, errors.New("--json needs --check")
	}
	return o, nil
}

// run is the whole program; main only adds the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	h, err := newHouse(ctx, ".")
	if err != nil {
		return err
	}
	groups, err := pick(catalogue(), o.only)
	if err != nil {
		return err
	}
	switch {
	case o.list:
		return list(h, groups, stdout)
	case o.check:
		return check(ctx, h, groups, o.json, stdout)
	}
	return install(ctx, h, groups, stdout)
}

// install brings every group to the state its locks ask for, lanes side by
// side and the groups of one lane in order, then links it.
func install(ctx context.Context, h *house, groups []group, stdout io.Writer) error {
	p := newProgress(stdout)
	if err := os.MkdirAll(filepath.Join(h.root, ".tools", "bin"), 0o750); err != nil {
		return fmt.Errorf("create .tools: %w", err)
	}
	errs := runLanes(ctx, groups, func(ctx context.Context, g group) error {
		start := time.Now()
		built, err := h.ensure(ctx, g, p)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		if err := h.link(g); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		if built {
			p.done(g.name, time.Since(start))
		}
		return nil
	})
	if ctx.Err() != nil {
		return errors.New("interrupted; nothing half-built is used, run it again to go on")
	}
	if errs == nil && wants(groups, "node") {
		errs = h.browser(ctx, p)
	}
	if errs != nil {
		return errs
	}
	p.total(len(groups))
	return nil
}

func wants(groups []group, name string) bool {
	for _, g := range groups {
		if g.name == name {
			return true
		}
	}
	return false
}

// list prints one line per group: name, state, cache folder.
func list(h *house, groups []group, stdout io.Writer) error {
	for _, g := range groups {
		dir, err := h.dir(g)
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		state := "missing"
		if _, err := readStamp(dir); err == nil {
			state = "ready"
		}
		fmt.Fprintf(stdout, "%-16s %-8s %s\n", g.name, state, dir)
	}
	return nil
}

// pick selects the named groups in catalogue order.
func pick(all []group, only string) ([]group, error) {
	if only == "" {
		return all, nil
	}
	want := map[string]bool{}
	for name := range strings.SplitSeq(only, ",") {
		want[strings.TrimSpace(name)] = true
	}
	var out []group
	for _, g := range all {
		if want[g.name] {
			out = append(out, g)
			delete(want, g.name)
		}
	}
	for name := range want {
		return nil, fmt.Errorf("no group %q; see --list", name)
	}
	return out, nil
}
