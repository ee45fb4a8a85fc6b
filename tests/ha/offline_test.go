package ha_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/mbp-market/mbp/tests/pg"
)

// offline: the verbs that need no server do with a journal in a database what they do
// with one in a folder. copied is a folder with the same journal, spare a database with
// another one, which is damaged here.
func (s *site) offline(url, copied, spare string) {
	s.t.Helper()
	node := s.nodes[0].data // it holds an audit tree, and no journal
	if said := s.mbp("snapshot", "--journal", url, "--data", node); !strings.Contains(said, "snapshot of decision") {
		s.t.Errorf("snapshot: %s", said)
	}
	if said := s.refused(2, "snapshot", "--journal", url); !strings.Contains(said, "--data") {
		s.t.Errorf("a snapshot without a folder: %s", said)
	}
	s.fsck(url, node, spare)
	for _, what := range []string{"decisions", "trades", "positions"} {
		if s.mbp("export", what, "--journal", url) != s.mbp("export", what, "--data", copied) {
			s.t.Errorf("the export of %s from the database is not that from the folder", what)
		}
	}
	proof := filepath.Join(s.t.TempDir(), "proof.json")
	if err := os.WriteFile(proof, []byte(s.mbp("audit", "prove", "7", "--journal", url, "--data", node)), 0o600); err != nil {
		s.t.Fatal(err)
	}
	key := strings.TrimSpace(s.mbp("audit", "verifier", "--data", node))
	s.mbp("audit", "verify", proof, "--key", key)
	if said := s.refused(2, "audit", "prove", "7", "--journal", url); !strings.Contains(said, "--data") {
		s.t.Errorf("a proof without a tree: %s", said)
	}
	s.backUp(url, node)
}

// fsck checks the database alone, then with the folder of a server, then a damaged one.
func (s *site) fsck(url, node, spare string) {
	s.t.Helper()
	checks := func(said string) (all []string) {
		s.t.Helper()
		var report struct {
			OK     bool `json:"ok"`
			Checks []struct{ Check, Verdict string }
		}
		if err := json.Unmarshal([]byte(said), &report); err != nil {
			s.t.Fatalf("%v\n%s", err, said)
		}
		for _, c := range report.Checks {
			all = append(all, c.Check+" "+c.Verdict)
		}
		return all
	}
	if got := strings.Join(checks(s.mbp("fsck", "--json", "--journal", url)), ", "); got != "journal ok, ledger ok, texts ok" {
		s.t.Errorf("the database alone: %s", got)
	}
	got := s.mbp("fsck", "--json", "--journal", url, "--data", node)
	if strings.Join(checks(got), ", ") != "journal ok, ledger ok, snapshot ok, audit ok, texts ok" || !strings.Contains(got, `"same":1`) {
		s.t.Errorf("the database with a folder: %s", got)
	}
	s.primary.Exec(s.t, pg.NameOf(spare), "SET session_replication_role = replica",
		"UPDATE mbp.record SET payload = set_bit(payload, 0, 1 - get_bit(payload, 0)) WHERE seq = (SELECT max(seq) FROM mbp.record WHERE seq <= 2) OR seq = (SELECT max(seq) FROM mbp.record)")
	if said := s.refused(1, "fsck", "--journal", spare); !strings.Contains(said, "journal  FAILED   2 faults") || !strings.Contains(said, "mbp.record at offset") {
		s.t.Errorf("a damaged database: %s", said)
	}
	s.lostText(url)
	s.refused(2, "fsck", "--journal", url, "--data", filepath.Join(node, "absent"))
	s.refused(2, "fsck", "--journal", url, "--archive", node)
}

// lostText: a text in the database that is not what the journal names is found, and so
// is one that is not there.
func (s *site) lostText(url string) {
	s.t.Helper()
	s.primary.Exec(s.t, pg.NameOf(url), "CREATE TABLE kept AS SELECT * FROM mbp.text", "UPDATE mbp.text SET body = body || '.' WHERE kind = 'note'")
	if said := s.refused(1, "fsck", "--journal", url); !strings.Contains(said, "texts    FAILED   1 faults") || !strings.Contains(said, "has another id") {
		s.t.Errorf("a changed text: %s", said)
	}
	s.primary.Exec(s.t, pg.NameOf(url), "DELETE FROM mbp.text WHERE kind = 'note'")
	if said := s.refused(1, "fsck", "--journal", url); !strings.Contains(said, "texts    FAILED   1 faults") || !strings.Contains(said, "is not in the store of texts") {
		s.t.Errorf("a lost text: %s", said)
	}
	s.primary.Exec(s.t, pg.NameOf(url), "INSERT INTO mbp.text SELECT * FROM kept WHERE kind = 'note'", "DROP TABLE kept")
}

// backUp makes a backup of the database and restores it, all of it and a part.
func (s *site) backUp(url, node string) {
	s.t.Helper()
	dir := s.t.TempDir()
	to, all, part := filepath.Join(dir, "backup"), filepath.Join(dir, "all"), filepath.Join(dir, "part")
	s.mbp("backup", "--journal", url, "--data", node, "--to", to)
	if said := s.refused(2, "restore", "--from", to, "--data", all, "--journal", url); !strings.Contains(said, "mbp journal copy --from file:"+all) || strings.Contains(said, secret) {
		s.t.Errorf("a restore into a database: %s", said)
	}
	key := filepath.Join(node, "audit", "signing.key")
	s.mbp("restore", "--from", to, "--data", all, "--signing-key", key)
	if s.records("--data", all) != s.records("--journal", url) {
		s.t.Error("what was restored has other records than the database")
	}
	if said := s.mbp("restore", "--from", to, "--data", part, "--to-seq", "100", "--signing-key", key); !strings.Contains(said, "100 decisions") {
		s.t.Errorf("a restore up to decision 100: %s", said)
	}
	s.mbp("fsck", "--data", part, "--audit=false", "--texts=false") // those stay in the database
	s.mbp("backup", "--journal", url, "--to", filepath.Join(dir, "alone"))
}
