package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// flips calls try with b after each single change of a byte: of every bit, and to
// the characters that parsers are lenient about.
func flips(b []byte, try func(i int, b []byte)) {
	for i := range b {
		was := b[i]
		for _, now := range []byte{was ^ 1, was ^ 2, was ^ 4, was ^ 8, was ^ 16, was ^ 32, was ^ 64, was ^ 128, ' ', '\n', '\r', '\t', '0', 'A', '='} {
			if now != was {
				b[i] = now
				try(i, b)
			}
		}
		b[i] = was
	}
}

func TestEveryByteOfAProofCounts(t *testing.T) {
	key := testKey(t)
	x := signedTree(t, faultfs.New(), records(11), key)
	v := key.Verifier()
	p, err := x.Prove(6)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(b []byte) error {
		p, err := Unmarshal[Inclusion](b)
		if err == nil {
			_, err = p.Verify(v)
		}
		return err
	}
	if err := verify(b); err != nil {
		t.Fatal(err)
	}
	flips(b, func(i int, b []byte) {
		if err := verify(b); !errors.Is(err, ErrInvalid) {
			t.Fatalf("byte %d of the proof became %q: %v", i, b[i], err)
		}
	})
	for cut := range b {
		if verify(b[:cut]) == nil {
			t.Fatalf("the first %d bytes of the proof pass", cut)
		}
	}
	if verify(append(bytes.Clone(b), '\n')) == nil {
		t.Error("a longer file passes")
	}
	flips(bytes.Clone(x.Newest().Note), func(i int, b []byte) {
		if _, err := v.Open(b); !errors.Is(err, ErrInvalid) {
			t.Fatalf("byte %d of the checkpoint became %q: %v", i, b[i], err)
		}
	})
	flips([]byte(v.String()), func(i int, text []byte) {
		other, err := ParseVerifier(string(text))
		if err != nil {
			return
		}
		if _, err := p.Verify(other); !errors.Is(err, ErrInvalid) {
			t.Fatalf("byte %d of the verifier key became %q: %v", i, text[i], err)
		}
	})
}

// TestProofsOfOtherThings: true parts put together wrongly.
func TestProofsOfOtherThings(t *testing.T) {
	key := testKey(t)
	v := key.Verifier()
	x := signedTree(t, faultfs.New(), records(11), key)
	for name, change := range map[string]func(p, other *Inclusion){
		"record of another":    func(p, o *Inclusion) { p.Record, p.Leaf = o.Record, o.Leaf },
		"path of another":      func(p, o *Inclusion) { p.Proof = o.Proof },
		"place of another":     func(p, o *Inclusion) { p.Seq = o.Seq },
		"all but the place":    func(p, o *Inclusion) { seq := p.Seq; *p = *o; p.Seq = seq },
		"place and leaf":       func(p, o *Inclusion) { p.Seq, p.Leaf = o.Seq, o.Leaf },
		"place beyond the end": func(p, _ *Inclusion) { p.Seq = 12 },
		"no place":             func(p, _ *Inclusion) { p.Seq = 0 },
		"longer path":          func(p, o *Inclusion) { p.Proof = append(slices.Clone(p.Proof), o.Leaf) },
		"shorter path":         func(p, _ *Inclusion) { p.Proof = p.Proof[1:] },
		"node as a record":     func(p, _ *Inclusion) { p.Record = append(append([]byte{1}, p.Leaf[:]...), p.Proof[0][:]...) },
	} {
		p, err := x.Prove(6)
		if err != nil {
			t.Fatal(err)
		}
		other, err := x.Prove(5)
		if err != nil {
			t.Fatal(err)
		}
		if change(p, other); !fails(p, v) {
			t.Errorf("%s: the proof passes", name)
		}
	}
	p, err := x.Prove(6)
	if err != nil || !fails(p, testKey(t).Verifier()) || fails(p, v) {
		t.Errorf("the verifier of another log: %v", err)
	}
}

func fails(p *Inclusion, v Verifier) bool {
	_, err := p.Verify(v)
	return errors.Is(err, ErrInvalid)
}

// TestCheckpointsOfOtherForms: signed by the key, and still refused.
func TestCheckpointsOfOtherForms(t *testing.T) {
	key := testKey(t)
	good := Checkpoint{Origin: key.signer.Name(), Size: 9, Root: tlog.Hash{1}, At: 1}.text()
	for name, text := range map[string]string{
		"another origin": strings.Replace(good, "mbp-audit-", "mbp-other-", 1),
		"size 0":         strings.Replace(good, "\n9\n", "\n0\n", 1),
		"leading zero":   strings.Replace(good, "\n9\n", "\n09\n", 1),
		"negative":       strings.Replace(good, "\n9\n", "\n-9\n", 1),
		"one more line":  good + "x\n",
		"no time":        good[:strings.Index(good, atPrefix)],
		"other time":     strings.Replace(good, "000001Z", "000001+00:00", 1),
		"spare bits":     strings.Replace(good, "A=\n", "B=\n", 1),
		"good":           good,
	} {
		if name != "good" && text == good {
			t.Fatalf("%s changes nothing in %q", name, good)
		}
		b, err := note.Sign(&note.Note{Text: text}, key.signer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := key.Verifier().Open(b); (err == nil) != (name == "good") {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := testKey(t)
	b, err := note.Sign(&note.Note{Text: good}, key.signer, other.signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.Verifier().Open(b); !errors.Is(err, ErrInvalid) {
		t.Errorf("a second signature: %v", err)
	}
}

// TestRewrittenLogIsFound: from some record on the log is another one, whole in
// itself and signed with the same key. Who kept an old checkpoint sees it.
func TestRewrittenLogIsFound(t *testing.T) {
	key := testKey(t)
	v := key.Verifier()
	was := signedTree(t, faultfs.New(), records(100), key)
	prove := func(x *Tree) error {
		g, err := x.Grow(100, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = (&Consistency{Old: string(was.Newest().Note), New: string(x.Newest().Note), Proof: g.Proof}).Verify(v)
		return err
	}
	if err := prove(signedTree(t, faultfs.New(), records(150), key)); err != nil {
		t.Fatal(err)
	}
	for from := range 100 {
		log := records(from).grow(150-from, 1)
		if err := prove(signedTree(t, faultfs.New(), log, key)); !errors.Is(err, ErrInvalid) {
			t.Errorf("re-written from record %d on: %v", from+1, err)
		}
	}
	missing := records(150)
	missing.payloads = slices.Delete(missing.payloads, 40, 41)
	if err := prove(signedTree(t, faultfs.New(), missing, key)); !errors.Is(err, ErrInvalid) {
		t.Errorf("without a record: %v", err)
	}
	g, err := was.Grow(40, 90)
	if err != nil {
		t.Fatal(err)
	}
	c := &Consistency{Old: string(was.Newest().Note), New: string(was.Newest().Note), Proof: g.Proof}
	if _, _, err := c.Verify(v); !errors.Is(err, ErrInvalid) {
		t.Errorf("proof of other sizes: %v", err)
	}
}

// TestEveryByteOfAConsistencyProofCounts.
func TestEveryByteOfAConsistencyProofCounts(t *testing.T) {
	key := testKey(t)
	was := signedTree(t, faultfs.New(), records(5), key)
	is := signedTree(t, faultfs.New(), records(7), key)
	g, err := is.Grow(5, 7)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Marshal(&Consistency{Old: string(was.Newest().Note), New: string(is.Newest().Note), Proof: g.Proof})
	if err != nil {
		t.Fatal(err)
	}
	flips(b, func(i int, b []byte) {
		p, err := Unmarshal[Consistency](b)
		if err == nil {
			_, _, err = p.Verify(key.Verifier())
		}
		if !errors.Is(err, ErrInvalid) {
			t.Fatalf("byte %d became %q: %v", i, b[i], err)
		}
	})
}

// signedJournal is a file journal of one record a batch, with its signed tree.
func signedJournal(t *testing.T, n int) (fs *faultfs.FS, key *Key) {
	t.Helper()
	fs, key = faultfs.New(), testKey(t)
	l, err := file.Open(file.Config{Dir: "journal", FS: fs, SegmentSize: 8 << 10})
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := l.Append(l.Next(), 7, [][]byte{decision(l.Next(), 0)}); err != nil {
			t.Fatal(err)
		}
	}
	signedTree(t, fs, l, key)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return fs, key
}

// look opens journal and tree as a server does, and then checks them whole.
func look(fs *faultfs.FS, key *Key) (err error) {
	holds, err := SignedSize(fs, "audit", key.Verifier())
	if err != nil {
		return err
	}
	l, err := file.Open(file.Config{Dir: "journal", FS: fs, SegmentSize: 8 << 10, Holds: holds})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	x, err := New(Config{Dir: "audit", FS: fs, Log: l, Key: key})
	if err != nil {
		return err
	}
	_, err = Check(context.Background(), fs, "audit", key.Verifier(), given(l))
	return errors.Join(err, x.Close())
}

// given opens a log that is open.
func given(log Records) func(uint64) (Records, error) {
	return func(uint64) (Records, error) { return log, nil }
}

// content is what a reader of the journal gets.
func content(fs *faultfs.FS) string {
	var b strings.Builder
	r, err := file.OpenReader(file.ReaderConfig{Dir: "journal", FS: fs})
	if err == nil {
		err = r.Read(0, func(r journal.Record) error { fmt.Fprintf(&b, "%d %x\n", r.Seq, r.Payload); return nil })
	}
	return fmt.Sprint(b.String(), err)
}

// TestEveryByteOfTheLogAndTheTreeCounts: a change to any byte of journal, tree or
// checkpoint is found, or it is one that no record has: zeros after the last
// batch, and the padding between two.
func TestEveryByteOfTheLogAndTheTreeCounts(t *testing.T) {
	whole, key := signedJournal(t, 9)
	if err := look(whole.Clone(), key); err != nil {
		t.Fatal(err)
	}
	want, step := content(whole), 1
	if testing.Short() {
		step = 5 // each bit of a byte has its turn as with 1
	}
	for _, name := range whole.Names() {
		if strings.HasSuffix(name, "LOCK") {
			continue
		}
		found := 0
		b := whole.Bytes(name)
		for i := 0; i < len(b); i += step {
			fs := whole.Clone()
			b[i] ^= 1 << (i % 8)
			fs.SetBytes(name, b)
			b[i] ^= 1 << (i % 8)
			if look(fs, key) != nil {
				found++
			} else if got := content(fs); got != want {
				t.Fatalf("%s: byte %d changed the records, and nobody sees it", name, i)
			} else if filepath.Dir(name) == "audit" {
				t.Fatalf("%s: byte %d changed, and nobody sees it", name, i)
			}
		}
		if segment := strings.Contains(name, "seg-0000000000000001"); segment && found < 500/step {
			t.Errorf("%s: only %d bytes count", name, found)
		}
	}
}

// TestLostEndRefusesToStart: the last batch is damaged after it was signed. The
// log would open without it, as if it had been torn by a crash.
func TestLostEndRefusesToStart(t *testing.T) {
	whole, key := signedJournal(t, 9)
	name := "journal/seg-0000000000000001.log"
	b := whole.Bytes(name)
	at := bytes.LastIndex(b, decision(9, 0))
	b[at+3] ^= 1
	whole.SetBytes(name, b)

	fs := whole.Clone()
	var corrupt *journal.CorruptError
	if err := look(fs, key); !errors.As(err, &corrupt) || corrupt.Seq != 9 || !strings.Contains(err.Error(), "9 records are known") {
		t.Errorf("%v", err)
	}
	if !bytes.Equal(fs.Bytes(name), b) {
		t.Error("the damaged batch was cut, and cannot be looked at any more")
	}

	// Who opens the journal without asking loses it; the tree then refuses.
	fs = whole.Clone()
	l, err := file.Open(file.Config{Dir: "journal", FS: fs, SegmentSize: 8 << 10})
	if err != nil || l.Next() != 9 {
		t.Fatalf("%v, next %d", err, l.Next())
	}
	if _, err := New(Config{Dir: "audit", FS: fs, Log: l, Key: key}); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "9 records were signed") {
		t.Errorf("%v", err)
	}
	// Other decisions in its place do not hide it, with the tree or without.
	for range 3 {
		if err := l.Append(l.Next(), 7, [][]byte{decision(l.Next(), 1)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := New(Config{Dir: "audit", FS: fs, Log: l, Key: key}); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "record 9 ") {
		t.Errorf("%v", err)
	}
	fs.SetBytes("audit/tree", nil)
	x, err := New(Config{Dir: "audit", FS: fs, Log: l, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Run(t.Context()); !errors.Is(err, ErrLost) {
		t.Errorf("%v", err)
	}
	if _, err := Check(t.Context(), fs, "audit", key.Verifier(), given(l)); !errors.Is(err, ErrLost) {
		t.Errorf("%v", err)
	}
}

// TestDamagedCheckpointsAreTold: the last one that holds counts, and the log says
// which do not.
func TestDamagedCheckpointsAreTold(t *testing.T) {
	key, log, fs := testKey(t), records(10), faultfs.New()
	signedTree(t, fs, log, key)
	log.grow(10, 0)
	signedTree(t, fs, log, key)
	name := "audit/" + checkpointName(20)
	fs.SetBytes(name, append(fs.Bytes(name), 'x'))
	var told bytes.Buffer
	x, err := New(Config{Dir: "audit", FS: fs, Log: log, Key: key, Logger: slog.New(slog.NewTextHandler(&told, nil))})
	if err != nil || x.Newest().Size != 10 || !strings.Contains(told.String(), "checkpoint 20") {
		t.Errorf("%v, newest %d, told %q", err, x.Newest().Size, told.String())
	}
	report, err := Check(t.Context(), fs, "audit", key.Verifier(), given(log))
	if !errors.Is(err, ErrInvalid) || report.Checkpoints != 1 || report.Records != 20 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestSecretsStayInside(t *testing.T) {
	secret, err := NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParseKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	seed := strings.SplitN(secret, "+", 5)[4]
	if text := fmt.Sprintf("%v %+v %#v %s", key, key, key, key); strings.Contains(text, seed) {
		t.Errorf("the secret is printed: %s", text)
	}
	if _, err := ParseKey(secret + "x"); err == nil || strings.Contains(err.Error(), seed) {
		t.Errorf("%v", err)
	}
}

func FuzzUnmarshal(f *testing.F) {
	key := testKey(f)
	p, err := signedTree(f, faultfs.New(), records(3), key).Prove(2)
	if err != nil {
		f.Fatal(err)
	}
	b, err := Marshal(p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(p.Record)
	f.Add([]byte(p.Checkpoint))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := Unmarshal[Inclusion](b); err == nil {
			_, _ = p.Verify(key.Verifier())
		}
		if p, err := Unmarshal[Consistency](b); err == nil {
			_, _, _ = p.Verify(key.Verifier())
		}
		if c, err := parseText(string(b)); err == nil && c.text() != string(b) {
			t.Errorf("%q reads as %q", b, c.text())
		}
		_, _ = key.Verifier().Open(b)
	})
}
