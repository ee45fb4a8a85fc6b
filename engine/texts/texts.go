// Package texts is the store that can forget: what people write beside titles and
// labels, and which person of an identity provider stands behind which pseudonym.
//
// It promises: a text is durable before the log can name it; its id is the SHA-256
// of a salt of 128 random bits and the text, and only this store has the salt; the
// pseudonym of a person is 256 random bits, and only this store has the link; what
// is erased is gone from the file and from where the file was, and a crash leaves the
// store with it or without it, never with half of it; a retry of a request gets the
// id that it got before. It follows the "crypto-shredding" reading of the LGPD's
// article 16, with salts in place of keys.
//
// It refuses texts without bounds, more of one author than a person writes, damaged
// files, and to know what a text says.
package texts

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// Kind says what an entry is.
type Kind string

// The kinds. The words are stored.
const (
	Clarification Kind = "clarification" // of a market
	Note          Kind = "note"          // of a decision
	Identity      Kind = "identity"      // of a person whom the provider vouches for; it has no text
)

// Bounds.
const (
	// MaxText bounds a text, in bytes: a paragraph.
	MaxText = 1000
	// MaxOfAuthor bounds the texts of one principal: one every five minutes of a month.
	MaxOfAuthor = 10_000
	// MaxBytes bounds the file, which is held in memory, too: some hundred thousand
	// texts.
	MaxBytes = 128 << 20
	// maxFrame bounds a record: a text whose every byte is escaped, and the rest.
	maxFrame = 16 << 10
)

// The errors of a Store.
var (
	// ErrFull: the store, or what it holds of one author, is at its bound; erase or
	// archive before more is written.
	ErrFull = errors.New("the store of texts is full")
	// ErrFailed: a write has failed, and nobody knows what is on the disk; start again.
	ErrFailed = errors.New("the store of texts has failed")
	// ErrDamaged: the file is not what was written; restore it from the backup.
	ErrDamaged = errors.New("the store of texts is damaged")
)

// Draft is a text on its way into the store.
type Draft struct {
	Kind    Kind             `json:"kind"`
	Request engine.Tag       `json:"request,omitzero"` // of principal and idempotency key: a retry gets the same id
	Author  string           `json:"author,omitempty"` // principal
	Account engine.AccountID `json:"account,omitempty"`
	About   engine.AccountID `json:"about,omitempty"` // the account of whom it tells, if that is not the author's
	Market  engine.MarketID  `json:"market,omitempty"`
	Of      engine.Seq       `json:"of,omitempty"` // the decision that is noted
	At      engine.Time      `json:"at"`
	Text    string           `json:"text,omitempty"`
}

// Entry is what is held.
type Entry struct {
	ID    engine.Digest `json:"id"`
	Salt  []byte        `json:"salt,omitempty"` // of a text
	Index engine.Digest `json:"index,omitzero"` // of an identity: the keyed digest of issuer and subject
	Draft
}

// IDOf is the id of a text under a salt.
func IDOf(salt []byte, text string) engine.Digest {
	h := sha256.New()
	h.Write([]byte("mbp text 1\n"))
	h.Write(salt)
	h.Write([]byte(text))
	return engine.Digest(h.Sum(nil))
}

// Store holds entries in one file of a folder. It is safe for concurrent use; one
// process has it open.
type Store struct {
	fs  file.FS
	dir string

	writing sync.Mutex // held over a whole change
	f       file.File  // guarded by writing
	end     int64      // bytes of whole records; guarded by writing
	failed  error      // guarded by writing

	mu      sync.RWMutex
	entries []*Entry                 // in the order of writing; guarded by mu
	byID    map[engine.Digest]*Entry // guarded by mu
	persons map[engine.Digest]*Entry // identities by index; guarded by mu
	asked   map[request]*Entry       // guarded by mu
	authors map[string]int           // texts of each; guarded by mu
}

// request is what a retry repeats.
type request struct {
	tag  engine.Tag
	text string
}

// Folder is where a data folder has its store.
const Folder = "texts"

const (
	name       = "texts"
	unfinished = "texts.new"
	magic      = "mbptext1"
	headSize   = 8 // of a record: length and CRC-32C
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Open opens the store of a folder, which it makes. A record that a crash has torn is
// dropped: nobody was answered.
func Open(fsys file.FS, dir string) (*Store, error) {
	s := &Store{fs: fsys, dir: dir}
	if err := fsys.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("texts: %w", err)
	}
	if err := fsys.Remove(filepath.Join(dir, unfinished)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("texts: %w", err)
	}
	f, err := fsys.Open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		s.index(nil)
		return s, s.rewrite()
	}
	if err != nil {
		return nil, fmt.Errorf("texts: %w", err)
	}
	entries, end, torn, err := load(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("texts: %w", err), f.Close())
	}
	s.f, s.end = f, end
	if s.index(entries); torn {
		return s, s.rewrite()
	}
	return s, nil
}

// Read returns what the folder of a store holds, whose process may run: a record
// that is being written is not seen.
func Read(fsys file.FS, dir string) ([]*Entry, error) {
	f, err := fsys.Open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("texts: %w", err)
	}
	entries, _, _, err := load(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("texts: %w", err)
	}
	s := &Store{}
	s.index(entries) // of an identity that was bound, the last record
	return s.entries, nil
}

// Write makes the store of a folder that has none.
func Write(fsys file.FS, dir string, entries []*Entry) error {
	s := &Store{fs: fsys, dir: dir}
	if err := fsys.MkdirAll(dir); err != nil {
		return fmt.Errorf("texts: %w", err)
	}
	s.index(entries)
	return errors.Join(s.rewrite(), s.Close())
}

// Close closes the file.
func (s *Store) Close() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.f == nil {
		return nil
	}
	err := s.f.Close()
	s.f, s.failed = nil, ErrFailed
	return err
}

// index makes the maps anew.
func (s *Store) index(entries []*Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries, s.byID, s.persons, s.asked, s.authors = nil, map[engine.Digest]*Entry{}, map[engine.Digest]*Entry{}, map[request]*Entry{}, map[string]int{}
	for _, e := range entries {
		s.add(e)
	}
}

// add puts an entry into the maps; the caller holds mu.
func (s *Store) add(e *Entry) {
	if was := s.byID[e.ID]; was != nil { // an identity that was bound, or is found by another digest
		delete(s.persons, was.Index)
		s.entries[slices.Index(s.entries, was)] = e
	} else {
		s.entries = append(s.entries, e)
	}
	s.byID[e.ID] = e
	if e.Kind == Identity {
		s.persons[e.Index] = e
		return
	}
	s.authors[e.Author]++
	if e.Request != (engine.Tag{}) {
		s.asked[request{e.Request, e.Text}] = e
	}
}

// Put stores a text and returns its id once it is durable. The same request with the
// same text gets the id that it got before.
func (s *Store) Put(d Draft) (engine.Digest, error) {
	if err := d.Fault(); err != nil {
		return engine.Digest{}, err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	was, written := s.asked[request{d.Request, d.Text}], s.authors[d.Author]
	s.mu.RUnlock()
	switch {
	case was != nil && d.Request != engine.Tag{}:
		return was.ID, nil
	case written >= MaxOfAuthor:
		return engine.Digest{}, fmt.Errorf("%w: of one author", ErrFull)
	}
	e := Salted(d)
	return e.ID, s.write(e)
}

// Fault says what no store takes.
func (d *Draft) Fault() error {
	if d.Kind != Clarification && d.Kind != Note || d.Text == "" || len(d.Text) > MaxText || !utf8.ValidString(d.Text) || d.Author == "" {
		return fmt.Errorf("texts: a %s of %d bytes", d.Kind, len(d.Text))
	}
	return nil
}

// Salted is the entry of a text, under a new salt.
func Salted(d Draft) *Entry {
	e := &Entry{Salt: make([]byte, 16), Draft: d}
	_, _ = rand.Read(e.Salt) // it never fails
	e.ID = IDOf(e.Salt, d.Text)
	return e
}

// Person returns the pseudonym of a person by the keyed digest of who that is, and
// the account that is bound to it, 0: none yet. One who is not known gets a new
// pseudonym, which is durable then.
func (s *Store) Person(index engine.Digest, at engine.Time) (engine.Digest, engine.AccountID, error) {
	if was := s.person(index); was != nil { // as at nearly every request: without waiting for a write
		return was.ID, was.Account, nil
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if was := s.person(index); was != nil {
		return was.ID, was.Account, nil
	}
	e := &Entry{Index: index, Draft: Draft{Kind: Identity, At: at}}
	_, _ = rand.Read(e.ID[:]) // it never fails
	return e.ID, 0, s.write(e)
}

func (s *Store) person(index engine.Digest) *Entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.persons[index]
}

// Bind notes which account a person has, so that an erasure finds the link by the
// account alone.
func (s *Store) Bind(id engine.Digest, account engine.AccountID) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	was := s.byID[id]
	s.mu.RUnlock()
	if was == nil || was.Kind != Identity || was.Account == account {
		return nil
	}
	e := *was
	e.Account = account
	return s.write(&e)
}

// write appends an entry; the caller holds writing.
//
// The crash story: a record is whole on the disk before its id is told. A crash before
// leaves a torn record at the end, which the next Open drops.
func (s *Store) write(e *Entry) error {
	if s.failed != nil {
		return s.failed
	}
	b, err := frame(e)
	if err != nil {
		return err
	}
	if s.end+int64(len(b)) > MaxBytes {
		return ErrFull
	}
	_, err = s.f.WriteAt(b, s.end)
	if err == nil {
		err = s.f.Sync()
	}
	if err != nil {
		s.failed = fmt.Errorf("%w: %w", ErrFailed, err)
		return s.failed
	}
	s.end += int64(len(b))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(e)
	return nil
}

// Texts returns those of some ids that are held.
func (s *Store) Texts(ids []engine.Digest) (map[engine.Digest]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := map[engine.Digest]string{}
	for _, id := range ids {
		if e := s.byID[id]; e != nil && e.Kind != Identity {
			out[id] = e.Text
		}
	}
	return out, nil
}

// Notes returns those of a decision, in the order of writing, so many at most.
func (s *Store) Notes(of engine.Seq, most int) ([]Entry, error) {
	return s.find(most, func(e *Entry) bool { return e.Kind == Note && e.Of == of }), nil
}

// Concerning returns what concerns an account or one of the digests, in the order of
// writing, so many at most.
func (s *Store) Concerning(account engine.AccountID, digests []engine.Digest, most int) ([]Entry, error) {
	return s.find(most, func(e *Entry) bool { return e.Concerns(account, digests) }), nil
}

func (s *Store) find(most int, meant func(*Entry) bool) (out []Entry) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, e := range s.entries {
		if len(out) < most && meant(e) {
			out = append(out, *e)
		}
	}
	return out
}

// Concerns reports whether an entry is by or about an account, or the identity
// behind one of the digests.
func (e *Entry) Concerns(account engine.AccountID, digests []engine.Digest) bool {
	if e.Kind == Identity && slices.Contains(digests, e.ID) {
		return true
	}
	return account != 0 && (e.Account == account || e.About == account)
}

// Erase forgets every entry that concerns an account or one of the digests, and
// returns how many there were. What is gone is gone from the disk, too, as far as a
// file can do that.
func (s *Store) Erase(account engine.AccountID, digests []engine.Digest) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.failed != nil {
		return 0, s.failed
	}
	var kept []*Entry
	s.mu.RLock()
	for _, e := range s.entries {
		if !e.Concerns(account, digests) {
			kept = append(kept, e)
		}
	}
	gone := len(s.entries) - len(kept)
	s.mu.RUnlock()
	if gone == 0 {
		return 0, nil
	}
	s.index(kept)
	return gone, s.rewrite()
}

// frame writes a record: its length, its CRC-32C, and JSON.
func frame(e *Entry) ([]byte, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("texts: %w", err)
	}
	return sealed(b), nil
}
