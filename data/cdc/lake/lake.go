// Package lake keeps the hot tables as Hive-partitioned Parquet files and
// promises that each row is in it exactly once.
//
//	<table>/dt=YYYY-MM-DD/hr=HH/part-<16 digits: first seq>.parquet
//	_manifest/dt=…/hr=….json    files of the hour: seqs, rows, sha256, schema version
//	_manifest/checkpoint.json   the commit point
//	_dead_letter/<table>/…      rows that violate their schema
//	_orphans/…                  files the manifest does not know
//
// A file never crosses an hour (of decided_at, UTC), carries the field ids of
// its schema version, and appears under its name complete or not at all, so a
// reader that globs is right at every instant. The layout lets Iceberg adopt
// the files without a rewrite.
//
// The package refuses to open a lake of another log or of a later format, and a
// lake whose manifest names files that are gone. One process at a time may hold
// a lake.
package lake

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/mbp-market/mbp/schemas/registry"
)

// ErrOtherLog means that the lake was filled from another journal: point to an
// empty lake, or to the journal it belongs to.
var ErrOtherLog = errors.New("the lake belongs to another log")

// Row is one row of a table.
type Row struct {
	Seq       uint64 // decision it comes from
	DecidedAt int64  // µs since the Unix epoch, chooses the hour
	Values    []any  // int64, string or nil, in the order of the schema's columns
}

// DeadLetter is a row that its schema refused.
type DeadLetter struct {
	Table string
	Seq   uint64
	N     int    // position among the decision's rows
	Body  []byte // JSON
}

// Batch is what one commit adds: all rows of the decisions after the last
// checkpoint up to Through. The lake reads it and keeps nothing of it.
type Batch struct {
	Through     uint64
	Rows        map[string][]Row // per table, ascending by Seq
	DeadLetters []DeadLetter
}

// Config of a lake.
type Config struct {
	FS       FS
	Registry *registry.Registry
	LogID    string // identity of the journal; empty means it is not checked
}

// Lake is an open lake. One goroutine owns it.
type Lake struct {
	fs    FS
	dirs  folders
	reg   *registry.Registry
	at    checkpoint
	hours map[hourKey]*hourManifest
	codec zstd.Codec // of this lake, as is everything its goroutine touches
}

// Open recovers the lake: entries beyond the checkpoint are dropped from the
// manifest, and every file that the manifest does not know is moved to
// _orphans, so that the rerun from the checkpoint cannot double a row.
func Open(cfg Config) (*Lake, error) {
	l := &Lake{fs: cfg.FS, dirs: folders{cfg.FS, map[string]bool{}}, reg: cfg.Registry}
	if err := l.fs.Mkdir("."); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("open lake: %w", err)
	}
	var err error
	if l.at, err = readCheckpoint(l.fs); err != nil {
		return nil, fmt.Errorf("open lake: %w", err)
	}
	if cfg.LogID != "" && l.at.LogID != "" && cfg.LogID != l.at.LogID {
		return nil, fmt.Errorf("open lake: %w: lake %s, journal %s", ErrOtherLog, l.at.LogID, cfg.LogID)
	}
	if cfg.LogID != "" {
		l.at.LogID = cfg.LogID
	}
	if l.hours, err = readManifests(l.fs); err != nil {
		return nil, fmt.Errorf("open lake: %w", err)
	}
	if err := l.recover(); err != nil {
		return nil, fmt.Errorf("open lake: %w", err)
	}
	return l, nil
}

// Checkpoint returns the last decision that the lake covers; 0 if none.
func (l *Lake) Checkpoint() uint64 { return l.at.Seq }

// Files returns the manifest of a table in commit order within each hour.
func (l *Lake) Files(table string) []Entry {
	var out []Entry
	for _, h := range slices.Sorted(maps.Keys(l.hours)) {
		for _, e := range l.hours[h].Files {
			if e.Table == table {
				out = append(out, e)
			}
		}
	}
	return out
}

// Commit makes a batch durable. On an error the lake is as before for whoever
// reopens it; the caller may call again with the same batch, which replaces the
// same names.
//
// Crash story: dead letters and data files first (names that no manifest knows:
// recovery sets them aside), then the hours' manifests (entries beyond the
// checkpoint: recovery drops them), then the checkpoint. Until its rename is
// durable nothing of the batch has happened.
func (l *Lake) Commit(b Batch) error {
	if b.Through < l.at.Seq {
		return fmt.Errorf("commit through %d: the lake is at %d already", b.Through, l.at.Seq)
	}
	next := checkpoint{Format: formatVersion, LogID: l.at.LogID, Seq: b.Through, Rows: maps.Clone(l.at.Rows), DeadLetters: maps.Clone(l.at.DeadLetters)}
	if err := l.writeDeadLetters(b.DeadLetters); err != nil {
		return fmt.Errorf("commit through %d: %w", b.Through, err)
	}
	for _, d := range b.DeadLetters {
		next.DeadLetters[d.Table]++
	}
	touched := map[hourKey]*hourManifest{}
	for _, table := range slices.Sorted(maps.Keys(b.Rows)) {
		if err := l.writeTable(table, b, touched); err != nil {
			return fmt.Errorf("commit through %d: %w", b.Through, err)
		}
		next.Rows[table] += len(b.Rows[table])
	}
	for _, h := range slices.Sorted(maps.Keys(touched)) {
		if err := l.writeJSON(h.manifestPath(), touched[h]); err != nil {
			return fmt.Errorf("commit through %d: %w", b.Through, err)
		}
	}
	if err := l.writeJSON(checkpointPath, next); err != nil {
		return fmt.Errorf("commit through %d: %w", b.Through, err)
	}
	l.at = next
	maps.Copy(l.hours, touched)
	return nil
}

// writeTable writes one file per hour and lists it in touched.
func (l *Lake) writeTable(table string, b Batch, touched map[hourKey]*hourManifest) error {
	s, err := l.reg.Latest(table)
	if err != nil {
		return err
	}
	byHour, order := map[hourKey][]Row{}, []hourKey{}
	for _, r := range b.Rows[table] {
		if r.Seq <= l.at.Seq || r.Seq > b.Through {
			return fmt.Errorf("row of seq %d is outside the batch (%d, %d]", r.Seq, l.at.Seq, b.Through)
		}
		h := hourOf(r.DecidedAt)
		if byHour[h] == nil {
			order = append(order, h)
		}
		byHour[h] = append(byHour[h], r)
	}
	for _, h := range order {
		e, err := l.writeFile(s, h, byHour[h])
		if err != nil {
			return err
		}
		m := touched[h]
		if m == nil {
			m = &hourManifest{Format: formatVersion}
			if old := l.hours[h]; old != nil {
				m.Files = slices.Clone(old.Files)
			}
			touched[h] = m
		}
		m.Files = append(m.Files, e)
	}
	return nil
}

func (l *Lake) writeFile(s *registry.Schema, h hourKey, rows []Row) (Entry, error) {
	raw, err := encode(&l.codec, s, rows)
	if err != nil {
		return Entry{}, err
	}
	dir := path.Join(s.Table, string(h))
	if err := l.dirs.ensure(dir); err != nil {
		return Entry{}, err
	}
	name := path.Join(dir, fmt.Sprintf("part-%016d.parquet", rows[0].Seq))
	if err := replace(l.fs, name, raw); err != nil {
		return Entry{}, err
	}
	if err := l.fs.SyncDir(dir); err != nil {
		return Entry{}, fmt.Errorf("sync folder %s: %w", dir, err)
	}
	sum := sha256.Sum256(raw)
	return Entry{
		Table: s.Table, Path: name, FirstSeq: rows[0].Seq, LastSeq: rows[len(rows)-1].Seq, Rows: len(rows),
		Bytes: len(raw), SHA256: hex.EncodeToString(sum[:]), SchemaVersion: s.Version,
	}, nil
}

// writeDeadLetters uses names made of table, sequence and position, so that a
// rerun replaces them.
func (l *Lake) writeDeadLetters(letters []DeadLetter) error {
	dirs := map[string]bool{}
	for _, d := range letters {
		dir := path.Join(deadDir, d.Table)
		if err := l.dirs.ensure(dir); err != nil {
			return err
		}
		if err := replace(l.fs, path.Join(dir, fmt.Sprintf("%016d-%d.json", d.Seq, d.N)), d.Body); err != nil {
			return err
		}
		dirs[dir] = true
	}
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		if err := l.fs.SyncDir(dir); err != nil {
			return fmt.Errorf("sync folder %s: %w", dir, err)
		}
	}
	return nil
}

// DeadLetters counts the dead letters that lie in the lake now, whoever wrote
// them and whenever.
func (l *Lake) DeadLetters() (map[string]int, error) {
	out := map[string]int{}
	tables, err := list(l.fs, deadDir)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		files, err := list(l.fs, path.Join(deadDir, t.Name()))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if strings.HasSuffix(f.Name(), ".json") {
				out[t.Name()]++
			}
		}
	}
	return out, nil
}

func hourOf(us int64) hourKey {
	return hourKey(time.UnixMicro(us).UTC().Format("dt=2006-01-02/hr=15"))
}
