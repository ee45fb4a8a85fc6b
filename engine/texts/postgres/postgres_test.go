package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/texts"
	"github.com/mbp-market/mbp/tests/pg"
)

func TestMain(m *testing.M) { os.Exit(pg.Main(m)) }

// two are the stores of two servers on one database.
func two(t *testing.T) (a, b *Store, url string) {
	t.Helper()
	url = pg.Shared(t).Database(t)
	out := [2]*Store{}
	for i := range out {
		s, err := Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		out[i] = s
	}
	return out[0], out[1], url
}

func draft(n int, account engine.AccountID) texts.Draft {
	return texts.Draft{Kind: texts.Note, Request: engine.Tag{byte(n), 1}, Author: fmt.Sprintf("p%d", account), Account: account, Of: 3, At: 7, Text: fmt.Sprintf("wombat %d of %d", n, account)}
}

// TestEach: who only looks sees everything, in the order of writing, and makes nothing.
func TestEach(t *testing.T) {
	empty := pg.Shared(t).Database(t)
	for range 2 {
		if err := Each(t.Context(), empty, func(*texts.Entry) { t.Error("there is nothing") }); err != nil {
			t.Fatal(err)
		}
	}
	a, b, url := two(t)
	var want []engine.Digest
	for n, s := range []*Store{a, b, a} {
		id, err := s.Put(draft(n, 1))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, id)
	}
	var got []engine.Digest
	err := Each(t.Context(), url, func(e *texts.Entry) {
		if texts.IDOf(e.Salt, e.Text) != e.ID || e.Author != "p1" || e.Of != 3 {
			t.Errorf("%+v", e)
		}
		got = append(got, e.ID)
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v: %v, want %v", err, got, want)
	}
	if err := Each(t.Context(), "postgres://u:hunter2@127.0.0.1:1/db", nil); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

// TestShared: what one server takes another tells; a retry at either gets the same
// id; a person has one pseudonym; and what one erases is gone for both, from the
// table's files, too.
func TestShared(t *testing.T) {
	a, b, _ := two(t)
	first, err := a.Put(draft(1, 1))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := b.Put(draft(1, 1)); err != nil || again != first {
		t.Errorf("%v: %s, before %s", err, again, first)
	}
	other := draft(1, 1)
	other.Text = "wombat another"
	if id, err := b.Put(other); err != nil || id == first {
		t.Errorf("%v: another text has the id %s", err, id)
	}
	kept, err := b.Put(draft(2, 2))
	if err != nil {
		t.Fatal(err)
	}
	about := draft(3, 2)
	about.About = 1
	if _, err := a.Put(about); err != nil {
		t.Fatal(err)
	}
	p, account, err := a.Person(engine.Digest{5}, 1)
	if err != nil || account != 0 {
		t.Fatalf("%v: account %s", err, account)
	}
	if err := b.Bind(p, 1); err != nil {
		t.Fatal(err)
	}
	if q, account, err := b.Person(engine.Digest{5}, 1); err != nil || q != p || account != 1 {
		t.Errorf("%v: %s of %s, was %s", err, q, account, p)
	}
	if got, err := b.Texts([]engine.Digest{first, kept, p, {9}}); err != nil || len(got) != 2 || got[first] != "wombat 1 of 1" {
		t.Errorf("%v: texts %v", err, got)
	}
	if got, err := b.Notes(3, 2); err != nil || len(got) != 2 || got[0].ID != first || got[0].Author != "p1" || texts.IDOf(got[0].Salt, got[0].Text) != first {
		t.Errorf("%v: notes %+v", err, got)
	}
	if got, err := b.Concerning(1, nil, 9); err != nil || len(got) != 4 || got[3].Kind != texts.Identity || got[3].Index != (engine.Digest{5}) {
		t.Errorf("%v: held %+v", err, got)
	}
	if n, err := b.Erase(1, nil); err != nil || n != 4 {
		t.Errorf("%v: %d erased", err, n)
	}
	for _, s := range []*Store{a, b} {
		if got, err := s.Texts([]engine.Digest{first, kept}); err != nil || len(got) != 1 {
			t.Errorf("%v: texts %v", err, got)
		}
		if n, err := s.Erase(1, []engine.Digest{p}); err != nil || n != 0 {
			t.Errorf("%v: %d erased again", err, n)
		}
	}
	if q, account, err := a.Person(engine.Digest{5}, 1); err != nil || q == p || account != 0 {
		t.Errorf("%v: the person is %s of %s again", err, q, account)
	}
	file := tableFile(t, a)
	b1, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b1, []byte("of 1")) || !bytes.Contains(b1, []byte("wombat 2 of 2")) {
		t.Errorf("the file of the table has %d bytes, of her or not of the other", len(b1))
	}
}

// tableFile is the file of the table, on disk after a checkpoint.
func tableFile(t *testing.T, s *Store) string {
	t.Helper()
	var dir, path string
	if _, err := s.pool.Exec(t.Context(), "CHECKPOINT"); err != nil {
		t.Fatal(err)
	}
	if err := s.pool.QueryRow(t.Context(), "SELECT current_setting('data_directory'), pg_relation_filepath('mbp.text')").Scan(&dir, &path); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, path)
}

// TestBounds: what no store takes is refused here, too, and a string that is no
// connection is not repeated, because it may hold a password.
func TestBounds(t *testing.T) {
	if _, err := Open(t.Context(), "postgres://mbp:hunter2@["); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
	if testing.Short() {
		return // ten thousand rows
	}
	a, _, _ := two(t)
	if _, err := a.Put(texts.Draft{Kind: texts.Note, Author: "x"}); err == nil {
		t.Error("a text that says nothing is taken")
	}
	if _, err := a.pool.Exec(t.Context(), "INSERT INTO mbp.text (id, kind, author, at) SELECT sha256(n::text::bytea), 'note', 'p1', n FROM generate_series(1, $1) AS n", texts.MaxOfAuthor); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Put(draft(1, 1)); !errors.Is(err, texts.ErrFull) {
		t.Errorf("one too many: %v", err)
	}
}

// TestLeastRights: the role of docs/runbooks/ha.md takes, tells and erases.
func TestLeastRights(t *testing.T) {
	a, _, url := two(t)
	for _, sql := range []string{
		"DROP ROLE IF EXISTS mbp_app", "CREATE ROLE mbp_app LOGIN", "GRANT USAGE ON SCHEMA mbp TO mbp_app",
		"GRANT SELECT, INSERT, UPDATE, DELETE ON mbp.text TO mbp_app", "GRANT USAGE ON SEQUENCE mbp.text_n_seq TO mbp_app",
	} {
		if _, err := a.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(t.Context(), strings.Replace(url, "postgres@", "mbp_app@", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id, err := s.Put(draft(1, 1))
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := s.Person(engine.Digest{5}, 1)
	if err == nil {
		err = s.Bind(p, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Erase(1, nil); err != nil || n != 2 {
		t.Errorf("%v: %d erased", err, n)
	}
	if got, err := a.Texts([]engine.Digest{id}); err != nil || len(got) != 0 {
		t.Errorf("%v: %v is left", err, got)
	}
}

// TestRekey: as in a file, and the servers that share the table find the same person,
// whichever comes first.
func TestRekey(t *testing.T) {
	a, b, _ := two(t)
	before, now, known := engine.Digest{1}, engine.Digest{2}, engine.Digest{5}
	id, _, err := a.Person(before, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Bind(id, 7); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		before, now, known, want engine.Digest
		account                  engine.AccountID
		found                    bool
	}{{before, now, engine.Digest{}, id, 7, true}, {engine.Digest{3}, engine.Digest{4}, engine.Digest{}, engine.Digest{}, 0, false}, {known, engine.Digest{6}, known, known, 0, true}} {
		var wg sync.WaitGroup
		for _, s := range []*Store{a, b, a, b} {
			wg.Go(func() {
				if got, of, ok, err := s.Rekey(c.before, c.now, c.known, 9); err != nil || got != c.want || of != c.account || ok != c.found {
					t.Errorf("%v: %s of %s, found %t; want %+v", err, got, of, ok, c)
				}
			})
		}
		wg.Wait()
	}
	if held, err := b.Concerning(7, nil, 9); err != nil || len(held) != 1 || held[0].At != 9 || held[0].Index != now {
		t.Errorf("%v: %+v", err, held)
	}
	if again, _, err := b.Person(before, 10); err != nil || again == id {
		t.Errorf("%v: the digest of before still finds %s", err, again)
	}
}
