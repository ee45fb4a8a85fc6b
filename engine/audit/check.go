package audit

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// maxFaults bounds the faults of one report; a file that is damaged throughout
// has one for each record.
const maxFaults = 16

// Archive reads the folder of a tree without a Tree, beside a running one, too.
// It writes nothing.
type Archive struct {
	folder   *folder
	log      Records
	verifier Verifier
}

// OpenArchive opens the folder of a tree for reading. A nil fs is the machine's
// own.
func OpenArchive(fs file.FS, dir string, log Records, v Verifier) (*Archive, error) {
	if fs == nil {
		fs = file.ReadOnly{}
	}
	d, err := openFolder(fs, dir)
	if err != nil {
		return nil, err
	}
	return &Archive{d, log, v}, nil
}

// Close releases its file.
func (a *Archive) Close() error { return a.folder.close() }

// Newest returns the newest checkpoint that holds, and an error if there is none.
func (a *Archive) Newest() (Signed, error) {
	c, err := a.folder.newest(a.verifier)
	if c.Size == 0 {
		return c, errors.Join(ErrNotCovered, err)
	}
	return c, nil
}

// Prove proves a record under the newest checkpoint.
func (a *Archive) Prove(seq uint64) (*Inclusion, error) {
	c, err := a.open()
	if err != nil {
		return nil, err
	}
	return prove(seq, c, a.folder, a.log)
}

// Grow is like Tree.Grow.
func (a *Archive) Grow(from, to uint64) (*Growth, error) {
	c, err := a.open()
	if err != nil {
		return nil, err
	}
	return growTo(from, to, c, a.folder)
}

func (a *Archive) open() (Signed, error) {
	c, err := a.Newest()
	if err != nil {
		return c, err
	}
	if err := a.folder.openTree(false); err != nil {
		return c, fmt.Errorf("open the tree: %w", err)
	}
	return c, nil
}

// Checkpoints returns how many checkpoints an audit folder has; none if it is absent.
func Checkpoints(fs file.FS, dir string) (int, error) {
	d, err := openFolder(fs, dir)
	if errors.Is(err, iofs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return len(d.has()), nil
}

// SignedSize returns how many records the newest checkpoint of a folder covers, 0
// if there is none that holds. The journal must have at least as many, which it
// is told before it opens, because opening it cuts what looks torn.
func SignedSize(fs file.FS, dir string, v Verifier) (uint64, error) {
	d, err := openFolder(fs, dir)
	if err != nil {
		return 0, err
	}
	c, _ := d.newest(v) // New tells which do not hold
	return c.Size, nil
}

// growTo is grow, with the newest size for a to of 0.
func growTo(from, to uint64, c Signed, d *folder) (*Growth, error) {
	if to == 0 {
		to = c.Size
	}
	return grow(from, to, c, d)
}

// Report says what Check has seen.
type Report struct {
	Records     uint64 `json:"records"`     // of the journal, each hashed again
	Archived    uint64 `json:"archived"`    // records before the journal's first, whose hashes were taken on trust
	Hashes      uint64 `json:"hashes"`      // of the tree's file, each compared
	Checkpoints int    `json:"checkpoints"` // each with its signature and root
	Signed      uint64 `json:"signed"`      // records that the newest checkpoint covers
}

// Check compares the journal with the tree's file, and both with every checkpoint
// and its signature. The error joins what does not hold, up to a bound; the
// report counts what does. A nil fs is the machine's own. It writes nothing.
//
// log opens the journal. It is called when the checkpoints are known, and told how
// many records they cover: beside a server, which goes on to sign, a journal that
// was opened before would seem short.
func Check(ctx context.Context, fs file.FS, dir string, v Verifier, log func(signed uint64) (Records, error)) (Report, error) {
	a, err := OpenArchive(fs, dir, nil, v)
	if err != nil {
		return Report{}, err
	}
	c := &checker{folder: a.folder, want: map[uint64]Checkpoint{}}
	err = c.run(ctx, log, v)
	return c.out, errors.Join(append(c.faults, err, a.Close())...)
}

// checker is one run of Check.
type checker struct {
	folder *folder
	want   map[uint64]Checkpoint
	edge   frontier
	fresh  []tlog.Hash // computed and not yet compared
	at     int64       // index of the first of them in the tree
	out    Report
	faults []error
}

func (c *checker) fault(err error) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, err)
	}
}

func (c *checker) run(ctx context.Context, open func(signed uint64) (Records, error), v Verifier) error {
	for _, size := range c.folder.has() {
		signed, err := c.folder.checkpoint(size, v)
		if errors.Is(err, iofs.ErrNotExist) {
			continue // a server has thinned them since they were listed
		}
		if err != nil {
			c.fault(err)
			continue
		}
		c.want[size], c.out.Signed = signed.Checkpoint, size
	}
	log, err := open(c.out.Signed)
	if err != nil {
		return err
	}
	first, next := log.First(), log.Next()
	if next-1 < c.out.Signed {
		c.fault(fmt.Errorf("%w: it ends at sequence %d, but %d records were signed", ErrLost, next-1, c.out.Signed))
	}
	if c.out.Signed == 0 && first == 1 {
		return nil // nothing claims anything about the log
	}
	if err := c.folder.openTree(false); err != nil {
		return fmt.Errorf("open the tree: %w", err)
	}
	if c.out.Archived = first - 1; c.out.Archived > 0 {
		edge, err := loadFrontier(c.out.Archived, c.folder)
		if err != nil {
			return err
		}
		c.edge, c.at = edge, tlog.StoredHashCount(int64(c.out.Archived))
	}
	var leaf []byte
	err = log.Read(first, func(r journal.Record) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		leaf = appendLeaf(leaf[:0], r.Seq, r.Payload)
		c.fresh = c.edge.add(leafHash(leaf), c.fresh)
		c.out.Records++
		c.signed(c.edge.size)
		if len(c.fresh) < readAhead && c.edge.size != c.out.Signed {
			return nil
		}
		return c.compare()
	})
	return err
}

// signed compares the root at a size with the checkpoint of it.
func (c *checker) signed(size uint64) {
	want, is := c.want[size]
	if !is {
		return
	}
	if root := c.edge.root(); root != want.Root {
		c.fault(fmt.Errorf("%w: the first %d records have the root %s, and %s was signed", ErrLost, size, root, want.Root))
		return
	}
	c.out.Checkpoints++
}

// compare compares what was computed with the tree's file, as far as a checkpoint
// covers it: what is above may be what a crash left.
func (c *checker) compare() error {
	if c.edge.size <= c.out.Signed {
		indexes := make([]int64, len(c.fresh))
		for i := range indexes {
			indexes[i] = c.at + int64(i)
		}
		have, err := c.folder.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for i := range have {
			if have[i] != c.fresh[i] {
				c.fault(invalid("hash %d of the tree is not that of the journal", indexes[i]))
				continue
			}
			c.out.Hashes++
		}
	}
	c.at += int64(len(c.fresh))
	c.fresh = c.fresh[:0]
	return nil
}
