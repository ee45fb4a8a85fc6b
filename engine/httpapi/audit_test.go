package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/audit"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/journal"
)

// notary is an audit tree that signs when the test says so.
type notary struct {
	*audit.Tree
	t   *testing.T
	cfg audit.Config
	err error // instead of every proof
}

// withTree are options of an edge whose records the notary proves.
func withTree(t *testing.T) (options, *notary) {
	t.Helper()
	secret, err := audit.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	key, err := audit.ParseKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	n := &notary{t: t, cfg: audit.Config{Dir: t.TempDir(), Key: key}}
	return options{
		log: func(l journal.Log) journal.Log { n.cfg.Log = l; return l },
		cfg: func(c *Config) { n.open(); c.Audit = n },
	}, n
}

func (n *notary) open() {
	n.t.Helper()
	var err error
	if n.Tree, err = audit.New(n.cfg); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { n.Close() })
}

// sign makes a checkpoint of all that is in the journal.
func (n *notary) sign() {
	n.t.Helper()
	n.open()
	n.Drain()
	if err := n.Run(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
}

func (n *notary) Prove(seq uint64) (*audit.Inclusion, error) {
	if n.err != nil {
		return nil, n.err
	}
	return n.Tree.Prove(seq)
}

// driveAudit asks for every kind of proof.
func driveAudit(see sees, admin string, n *notary) {
	get := func(pattern, path string) { see(http.MethodGet, pattern, path, admin, "") }
	get("/v1/audit/checkpoint", "/v1/audit/checkpoint")
	get("/v1/audit/proof/{seq}", "/v1/audit/proof/1")
	n.sign()
	get("/v1/audit/checkpoint", "/v1/audit/checkpoint")
	get("/v1/audit/proof/{seq}", "/v1/audit/proof/1")
	get("/v1/audit/proof/{seq}", "/v1/audit/proof/99999")
	get("/v1/audit/consistency", "/v1/audit/consistency?from=1")
	get("/v1/audit/consistency", "/v1/audit/consistency?from=2&to=1")
	get("/v1/audit/consistency", "/v1/audit/consistency?from=2&to=3000")
	get("/audit/verifier", "/audit/verifier")
}

// TestProofsOverTheWire: what the edge answers is the file that holds on its own,
// and its client gives it on byte by byte.
func TestProofsOverTheWire(t *testing.T) {
	o, n := withTree(t)
	e := start(t, o)
	e.funded(5)
	n.sign()
	old := n.Newest()
	last := e.submit(&engine.OpenAccount{}).Seq
	if r := e.get(fmt.Sprintf("/v1/audit/proof/%d", last), e.admin); r.status != http.StatusPreconditionFailed || r.code(t) != problem.Behind {
		t.Errorf("not signed yet: %d %s", r.status, r.body)
	}
	n.sign()
	r := e.get("/audit/verifier", "")
	v, err := audit.ParseVerifier(fmt.Sprint(r.doc(t)["verifier"]))
	if err != nil || v.String() != n.Verifier().String() {
		t.Fatalf("%v: %s", err, r.body)
	}
	for seq := engine.Seq(1); seq <= last; seq++ {
		r := e.get(fmt.Sprintf("/v1/audit/proof/%d", seq), e.admin)
		p, err := audit.Unmarshal[audit.Inclusion]([]byte(r.body))
		if err != nil {
			t.Fatalf("%v: %s", err, r.body)
		}
		if c, err := p.Verify(v); err != nil || p.Seq != uint64(seq) || c.Size != uint64(last) {
			t.Errorf("record %d under %d: %v", p.Seq, c.Size, err)
		}
		if b, err := e.as(e.admin).AuditProof(t.Context(), seq); err != nil || string(b)+"\n" != r.body {
			t.Errorf("%v: the client gives another file: %s", err, b)
		}
		if d, err := engine.Decode(seq, p.Record); err != nil || d.Seq != seq {
			t.Errorf("record %d: %v", seq, err)
		}
	}
	signed, err := e.as(e.admin).AuditCheckpoint(t.Context())
	if err != nil || signed.Checkpoint != string(n.Newest().Note) || signed.Seq != last {
		t.Errorf("%v: %+v", err, signed)
	}
	g, err := e.as(e.admin).AuditGrowth(t.Context(), engine.Seq(old.Size), 0)
	if err != nil {
		t.Fatal(err)
	}
	growth := audit.Growth{From: uint64(g.From), To: uint64(g.To)}
	for _, text := range g.Proof {
		h, err := tlog.ParseHash(text)
		if err != nil {
			t.Fatal(err)
		}
		growth.Proof = append(growth.Proof, h)
	}
	if err := growth.Between(old.Root, n.Newest().Root); err != nil {
		t.Error(err)
	}
	if text, err := e.as("").AuditVerifier(t.Context()); err != nil || text != v.String() {
		t.Errorf("%v: %s", err, text)
	}
}

// TestAuditRefusals: without a tree, with a damaged one, and records in the
// archive.
func TestAuditRefusals(t *testing.T) {
	e := start(t, options{})
	for _, path := range []string{"/v1/audit/checkpoint", "/v1/audit/proof/1", "/v1/audit/consistency?from=1", "/audit/verifier"} {
		if r := e.get(path, e.admin); r.status != http.StatusNotFound || !strings.Contains(r.body, "no audit tree") {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	o, n := withTree(t)
	e = start(t, o)
	e.funded(1)
	if n.sign(); n.Newest().Size == 0 {
		t.Fatal("nothing was signed")
	}
	n.err = audit.ErrArchived
	if r := e.get("/v1/audit/proof/1", e.admin); r.status != http.StatusNotFound || !strings.Contains(r.body, "archive") {
		t.Errorf("archived: %d %s", r.status, r.body)
	}
	n.err = nil
	name := filepath.Join(n.cfg.Dir, "tree")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[35] ^= 1 // in the leaf of record 2
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Tree.Prove(1); !errors.Is(err, audit.ErrInvalid) {
		t.Fatal(err)
	}
	if r := e.get("/v1/audit/proof/1", e.admin); r.status != http.StatusInternalServerError || strings.Contains(r.body, "disagree") {
		t.Errorf("damaged: %d %s", r.status, r.body)
	}
	if !strings.Contains(e.logs.String(), "disagree") {
		t.Error("the log does not say what is wrong")
	}
}
