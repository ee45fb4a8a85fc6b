package ha_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/tests/pg"
)

// secret is the password in the connection string. The servers of these tests ask
// for none, and nobody may read it anywhere.
const secret = "hunter2"

// standbyServes: who does not decide says so to who wants a decision, and answers
// reads from what it has followed, the caller's own writes among them.
func (s *site) standbyServes(ctx context.Context) {
	s.t.Helper()
	active := s.leader("")
	standby := s.nodes[0]
	if standby == active {
		standby = s.nodes[1]
	}
	done, err := s.client(active).OpenAccount(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.client(active).NoteDecision(ctx, done.Seq, "the load begins after this"); err != nil {
		s.t.Fatal(err)
	}
	c := s.client(standby).With(client.NoRetry())
	var refused *client.Problem
	if _, err := c.OpenAccount(ctx); !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable || refused.Code != "not_leader" || refused.RetryAfter <= 0 {
		s.t.Errorf("a standby answers a write with %v", err)
	}
	if _, err := c.AtLeast(done.Seq).Me(ctx); err != nil {
		s.t.Errorf("a standby does not answer a read: %v", err)
	}
	for n, want := range map[*node]string{active: "1", standby: "0"} {
		if !strings.Contains(n.get("/metrics"), "\nmbp_journal_leader "+want+"\n") {
			s.t.Errorf("mbp_journal_leader is not %s", want)
		}
	}
	if !strings.Contains(active.get("/metrics"), "\nmbp_journal_synchronous_replicas 1\n") {
		s.t.Error("the synchronous replica is not counted")
	}
	if ready := standby.get("/readyz"); !strings.Contains(ready, "another process decides") {
		s.t.Errorf("a standby says of itself %s", ready)
	}
}

func (n *node) get(path string) string {
	r, err := n.http.Get(n.at() + path)
	if err != nil {
		return err.Error()
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return fmt.Sprint(string(b), err)
}

// passwordIsNowhere: not in what the processes said, and not in the configuration that
// they print.
func (s *site) passwordIsNowhere() {
	s.t.Helper()
	n := s.nodes[0]
	out, err := exec.CommandContext(s.t.Context(), n.bin, "serve", "--journal", n.url, "--print-config").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "journal: postgres://postgres@127.0.0.1") {
		s.t.Errorf("--print-config: %v\n%s", err, out)
	}
	said := string(out) + s.nodes[0].said.String() + s.nodes[1].said.String()
	if strings.Contains(said, secret) {
		s.t.Error("the password of the database was said")
	}
	if !strings.Contains(said, "this process holds the journal") {
		s.t.Errorf("nobody said that it holds the journal:\n%s", said)
	}
}

// mbp runs a verb, which succeeds, and returns what it printed.
func (s *site) mbp(args ...string) string {
	s.t.Helper()
	out, err := exec.CommandContext(s.t.Context(), s.nodes[0].bin, args...).Output()
	if err != nil {
		var exit *exec.ExitError
		errors.As(err, &exit)
		s.t.Fatalf("mbp %q: %v\n%s%s", args, err, out, exit.Stderr)
	}
	return string(out)
}

// refused runs a verb, which ends with an exit code, and returns all that it printed.
func (s *site) refused(code int, args ...string) string {
	s.t.Helper()
	out, err := exec.CommandContext(s.t.Context(), s.nodes[0].bin, args...).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != code {
		s.t.Errorf("mbp %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// records is the digest of all records of a journal.
func (s *site) records(args ...string) string {
	s.t.Helper()
	var report struct {
		Records string `json:"records_sha256"`
	}
	if err := json.Unmarshal([]byte(s.mbp(append([]string{"replay", "--json"}, args...)...)), &report); err != nil {
		s.t.Fatal(err)
	}
	return report.Records
}

// endsThere has the lease go on after the rows that are left.
const endsThere = "UPDATE mbp.lease SET next = (SELECT max(seq + records) FROM mbp.record)"

// verbs: the journal is decided again with the same bytes; a copy in a folder and one
// back in a database are the same journal, whether made at once or in two parts.
func (s *site) verbs() {
	s.t.Helper()
	mbp, records := s.mbp, s.records
	first, dir := s.primary.URL("mbp"), filepath.Join(s.t.TempDir(), "copy")
	want := records("--journal", first, "--verify")
	mbp("journal", "copy", "--from", first, "--to", "file:"+dir)
	if got := records("--data", dir); got != want {
		s.t.Errorf("the copy has the digest %s, the journal %s", got, want)
	}
	second := s.primary.Database(s.t)
	mbp("journal", "copy", "--from", "file:"+dir, "--to", second)
	if got := records("--journal", second); got != want {
		s.t.Errorf("the copy of the copy has the digest %s, the journal %s", got, want)
	}
	s.primary.Exec(s.t, pg.NameOf(second), "SET session_replication_role = replica", // a copy that was broken off
		"DELETE FROM mbp.record WHERE seq > 100", endsThere)
	if said := mbp("journal", "copy", "--from", first, "--to", second); !strings.Contains(said, " that were there") || strings.Contains(said, "after the 0 ") {
		s.t.Errorf("the copy went on with %s", said)
	}
	if got := records("--journal", second); got != want {
		s.t.Errorf("the copy that went on has the digest %s, the journal %s", got, want)
	}
	s.primary.Exec(s.t, pg.NameOf(second), "SET session_replication_role = replica",
		"DELETE FROM mbp.record WHERE seq > 50", "UPDATE mbp.record SET at = at + 1 WHERE seq = (SELECT max(seq) FROM mbp.record)", endsThere)
	out, err := exec.CommandContext(s.t.Context(), s.nodes[0].bin, "journal", "copy", "--from", first, "--to", second).CombinedOutput()
	if err == nil {
		s.t.Errorf("a copy of another journal was gone on with: %s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "journal")); err != nil {
		s.t.Error(err)
	}
	if !testing.Short() {
		s.offline(first, dir, second)
	}
}
