package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
)

const (
	// DefaultEvery is how long a record waits for a checkpoint at most: what is
	// lost from the end of the log within it is not noticed.
	DefaultEvery = 5 * time.Second
	// defaultPoll is how often the journal is asked for news. Nobody waits for it
	// but the next checkpoint.
	defaultPoll = 100 * time.Millisecond
	// What failed is tried again after firstRetry, doubling up to lastRetry.
	firstRetry = time.Second
	lastRetry  = time.Minute
	// readAhead bounds the records whose hashes are written at once: half a
	// millisecond of work.
	readAhead = 1024
	// tailRecords are compared one by one at the start. A damaged last batch is
	// cut as torn when the journal opens; it has at most as many records.
	tailRecords = journal.MaxBatchRecords
)

// Config of a Tree. Dir, Log and Key are required.
type Config struct {
	// Dir is the folder of tree and checkpoints, which exists.
	Dir string
	// FS is the file system; the machine's own by default.
	FS file.FS
	// Log is the journal that is followed.
	Log Records
	// Key signs.
	Key *Key
	// Every is the time between two checkpoints of a log that grows; DefaultEvery
	// by default.
	Every time.Duration
	// Poll is how often the log is asked for news; 100 ms by default.
	Poll time.Duration
	// Registerer takes the metrics; nobody sees them by default.
	Registerer prometheus.Registerer
	// Logger hears of what is hashed anew, and why; silent by default.
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.Dir == "" || c.Log == nil || c.Key == nil {
		errs = append(errs, errors.New("folder, journal and key are required"))
	}
	if c.Every < 0 || c.Poll < 0 {
		errs = append(errs, errors.New("times must not be negative"))
	}
	if c.FS == nil {
		c.FS = file.OS{}
	}
	if c.Every == 0 {
		c.Every = DefaultEvery
	}
	if c.Poll == 0 {
		c.Poll = defaultPoll
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, errors.Join(errs...)
}

// Tree follows a journal and proves its records. Make it with New; Run it from
// one goroutine at a time.
type Tree struct {
	cfg      Config
	folder   *folder
	metrics  *metrics
	draining chan struct{}
	once     sync.Once

	edge   frontier    // owned by Run
	last   []byte      // payload of the last record in edge; owned by Run
	leaf   []byte      // scratch; owned by Run
	hashes []tlog.Hash // scratch; owned by Run

	mu     sync.RWMutex
	newest Signed // guarded by mu
}

// New looks whether the journal still holds what was signed, and fails with
// ErrLost if it does not. It starts nothing and writes nothing. Checkpoints that
// do not hold are told and passed over.
func New(cfg Config) (*Tree, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("audit tree: %w", err)
	}
	t := &Tree{cfg: cfg, draining: make(chan struct{})}
	if t.folder, err = openFolder(cfg.FS, cfg.Dir); err != nil {
		return nil, err
	}
	if t.newest, err = t.folder.newest(cfg.Key.Verifier()); err != nil {
		cfg.Logger.Error("checkpoints of the audit tree do not hold", "err", err)
	}
	if err := t.compareEnd(); err != nil {
		return nil, errors.Join(err, t.folder.close())
	}
	if t.metrics, err = newMetrics(t); err != nil {
		return nil, errors.Join(fmt.Errorf("audit tree: %w", err), t.folder.close())
	}
	return t, nil
}

// compareEnd compares the end of the journal with the newest checkpoint: its
// length, and, where the tree is whole, each of the last records.
func (t *Tree) compareEnd() error {
	c := t.newest
	if have := t.cfg.Log.Next() - 1; have < c.Size {
		return fmt.Errorf("%w: it ends at sequence %d, but %d records were signed, the last of %s", ErrLost, have, c.Size, c.At)
	}
	if c.Size == 0 || !t.whole(c.Checkpoint) {
		return nil // Run hashes everything again and compares it with the root
	}
	from := max(t.cfg.Log.First(), c.Size-min(c.Size, tailRecords)+1)
	if from > c.Size {
		return nil
	}
	indexes := make([]int64, 0, tailRecords)
	for seq := from; seq <= c.Size; seq++ {
		indexes = append(indexes, tlog.StoredHashIndex(0, int64(seq)-1))
	}
	signed, err := t.folder.ReadHashes(indexes)
	if err != nil {
		return fmt.Errorf("audit tree: %w", err)
	}
	return t.cfg.Log.Read(from, func(r journal.Record) error {
		if r.Seq > c.Size {
			return journal.ErrStop
		}
		if LeafHash(r.Seq, r.Payload) != signed[r.Seq-from] {
			return fmt.Errorf("%w: record %d is not the one that was signed with the %d of %s", ErrLost, r.Seq, c.Size, c.At)
		}
		return nil
	})
}

// whole opens the tree and says whether it has the root of a checkpoint.
func (t *Tree) whole(c Checkpoint) bool {
	err := t.folder.openTree(false)
	if err != nil {
		return false
	}
	root, err := tlog.TreeHash(int64(c.Size), t.folder)
	return err == nil && root == c.Root
}

// Run hashes what the journal has and signs, until ctx ends, or until Drain and
// the end of the journal; neither is an error. What may pass, as a full disk, is
// told and tried again. What does not pass on its own ends it: ErrLost, records
// that are needed and in the archive, and damage to the journal.
func (t *Tree) Run(ctx context.Context) error {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		began := time.Now()
		err := t.follow(ctx)
		if err == nil || over(ctx, err) {
			return nil
		}
		t.metrics.failed.Set(1)
		var corrupt *journal.CorruptError
		if t.drained() || errors.Is(err, ErrLost) || errors.Is(err, journal.ErrArchived) || errors.As(err, &corrupt) {
			return fmt.Errorf("audit tree: %w", err)
		}
		if time.Since(began) > lastRetry { // it has worked in between
			wait = firstRetry
		}
		t.cfg.Logger.Error("the audit tree is not kept up", "err", err, "retry_in", wait)
		pause := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-t.draining:
		case <-pause.C:
		}
		pause.Stop()
	}
}

// over says whether an error only means that nobody wants more: the caller ended
// its context, or closed tree or journal while it ran, as an immediate end does.
func over(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, errClosed) || errors.Is(err, journal.ErrClosed)
}

// follow is Run up to the first error.
func (t *Tree) follow(ctx context.Context) (err error) {
	defer func() {
		if err != nil { // whoever repairs the file may put another in its place
			err = errors.Join(err, t.folder.release())
		}
	}()
	if err := t.resume(ctx); err != nil {
		return err
	}
	t.metrics.failed.Set(0)
	poll := time.NewTicker(t.cfg.Poll)
	defer poll.Stop()
	signed := time.Now()
	for {
		last := t.drained()
		if err := t.catchUp(ctx, t.cfg.Log.Next()); err != nil {
			return err
		}
		if t.edge.size > t.Newest().Size && (last || time.Since(signed) >= t.cfg.Every) {
			if err := t.sign(); err != nil {
				return err
			}
			signed = time.Now()
		}
		if last {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.draining:
		case <-poll.C:
		}
	}
}

// Drain makes Run take what the journal has, sign it, and end.
func (t *Tree) Drain() { t.once.Do(func() { close(t.draining) }) }

func (t *Tree) drained() bool {
	select {
	case <-t.draining:
		return true
	default:
		return false
	}
}

// Close releases the tree's file. A Run that has not ended does.
func (t *Tree) Close() error { return t.folder.close() }

// resume goes on from the newest checkpoint if the tree has its root, and hashes
// the journal from its first record if it has not.
func (t *Tree) resume(ctx context.Context) error {
	c := t.Newest()
	if err := t.folder.openTree(true); err != nil {
		return fmt.Errorf("open the tree: %w", err)
	}
	if c.Size > 0 && t.whole(c.Checkpoint) {
		edge, err := loadFrontier(c.Size, t.folder)
		t.grew(edge)
		return err
	}
	if c.Size > 0 {
		t.cfg.Logger.Warn("the audit tree is damaged or absent and is hashed again", "records", c.Size)
	}
	t.grew(frontier{})
	err := t.catchUp(ctx, c.Size+1)
	if errors.Is(err, journal.ErrArchived) {
		return fmt.Errorf("the tree is damaged or absent, and the journal begins at %d: bring back the file from a copy: %w", t.cfg.Log.First(), err)
	}
	if err != nil {
		return err
	}
	if c.Size > 0 && t.edge.root() != c.Root {
		return fmt.Errorf("%w: the first %d records have the root %s, and %s was signed", ErrLost, c.Size, t.edge.root(), c.Root)
	}
	return nil
}

// grew takes a new edge over.
func (t *Tree) grew(edge frontier) {
	t.edge = edge
	t.metrics.hashed.Store(edge.size)
}

// catchUp hashes the records up to a sequence that it does not reach.
func (t *Tree) catchUp(ctx context.Context, end uint64) error {
	edge, began := t.edge, time.Now()
	if edge.size+1 >= end {
		t.metrics.caughtUp()
		return nil
	}
	t.hashes = t.hashes[:0]
	err := t.cfg.Log.Read(edge.size+1, func(r journal.Record) error {
		if r.Seq != edge.size+1 {
			return fmt.Errorf("record %d follows %d", r.Seq, edge.size)
		}
		t.leaf = appendLeaf(t.leaf[:0], r.Seq, r.Payload)
		t.hashes = edge.add(leafHash(t.leaf), t.hashes)
		last := edge.size+1 == end
		if !last && edge.size-t.edge.size < readAhead {
			return nil
		}
		if err := t.take(edge); err != nil {
			return err
		}
		t.metrics.seconds.Add(time.Since(began).Seconds())
		if last {
			return journal.ErrStop
		}
		runtime.Gosched() // whoever decides and waits for a processor has it first
		began = time.Now()
		return ctx.Err()
	})
	if err == nil && t.edge.size+1 != end {
		err = fmt.Errorf("the journal ends at %d, before %d", edge.size, end)
	}
	if err != nil {
		return fmt.Errorf("hash the journal from %d: %w", t.edge.size+1, err)
	}
	t.metrics.caughtUp()
	return nil
}

// take writes the hashes that lead to a new edge, and takes it over.
func (t *Tree) take(edge frontier) error {
	if err := t.folder.write(t.edge.size, t.hashes); err != nil {
		return err
	}
	t.hashes = t.hashes[:0]
	t.last = append(t.last[:0], t.leaf[leafHead:]...)
	t.grew(edge)
	return nil
}

// sign makes the tree durable and signs its root.
func (t *Tree) sign() error {
	d, err := engine.Decode(engine.Seq(t.edge.size), t.last)
	if err != nil {
		return fmt.Errorf("sign checkpoint: %w", err)
	}
	if err := t.folder.sync(); err != nil {
		return fmt.Errorf("sign checkpoint: %w", err)
	}
	c, err := t.cfg.Key.sign(t.edge.size, t.edge.root(), d.At)
	if err != nil {
		return err
	}
	if err := t.folder.keep(c); err != nil {
		return err
	}
	t.mu.Lock()
	t.newest = c
	t.mu.Unlock()
	return nil
}

// Newest returns the newest checkpoint; its Size is 0 if there is none yet.
func (t *Tree) Newest() Signed {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.newest
}

// Verifier returns the public key of the checkpoints.
func (t *Tree) Verifier() Verifier { return t.cfg.Key.Verifier() }

// Prove proves a record under the newest checkpoint; ErrNotCovered if that does
// not reach it yet.
func (t *Tree) Prove(seq uint64) (*Inclusion, error) {
	return prove(seq, t.Newest(), t.folder, t.cfg.Log)
}

// Grow proves that the tree of to records continues that of from records; a to
// of 0 is the size of the newest checkpoint, which a larger one is ErrNotCovered.
func (t *Tree) Grow(from, to uint64) (*Growth, error) {
	return growTo(from, to, t.Newest(), t.folder)
}
