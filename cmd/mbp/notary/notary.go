// Package notary is the part of the data folder that proves the journal, and the
// verbs that read and check its proofs.
//
// It promises: the key that signs is made once, is only ever in a file of mode
// 0600, and is not made anew beside checkpoints that another one signed; what
// `mbp audit verify` accepts holds without the server, and its status says so (0 it
// holds, 1 it does not, 2 wrong usage); the verbs on a data folder change nothing
// in it and need no stop of the server.
//
// It refuses to show a proof that does not hold. The form of everything follows
// package engine/audit; the crash story of the key that of the first API key.
package notary

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mbp-market/mbp/cmd/mbp/machine"
	"github.com/mbp-market/mbp/engine/audit"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
)

const (
	folderName  = "audit"
	keyName     = "signing.key"
	journalName = "journal"
)

// Journal is the folder of the journal within a data folder.
func Journal(data string) string { return filepath.Join(data, journalName) }

// Dir is the folder of the audit tree within a data folder.
func Dir(data string) string { return filepath.Join(data, folderName) }

// Open returns the key of a data folder. At the first start it makes folder and
// key; where make is false it returns nil instead.
//
// The crash story: the key is durable before anything is signed with it. A crash
// before that leaves a torn file, which the next start replaces, because nothing
// was signed. A key that is gone while checkpoints are there is not replaced: a
// new one could not tell whether the journal is what they signed.
func Open(data string, make bool) (*audit.Key, error) {
	dir := Dir(data)
	name := filepath.Join(dir, keyName)
	b, err := machine.ReadOwn(name)
	if err == nil {
		if key, err := audit.ParseKey(strings.TrimSuffix(string(b), "\n")); err == nil && bytes.HasSuffix(b, []byte("\n")) {
			return key, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	torn := err == nil
	signed, err := audit.Checkpoints(file.ReadOnly{}, dir)
	if err != nil {
		return nil, err
	}
	if signed > 0 {
		return nil, fmt.Errorf("%s is absent or damaged, and %s has %d checkpoints that it signed: bring it back from a copy, or move %s aside to begin a new tree", name, dir, signed, dir)
	}
	if !make {
		return nil, nil
	}
	if err := machine.DataFolder(dir); err != nil {
		return nil, err
	}
	if torn {
		if err := os.Remove(name); err != nil {
			return nil, err
		}
	}
	secret, err := audit.NewSecret()
	if err != nil {
		return nil, err
	}
	if err := machine.WriteSecret(name, secret); err != nil {
		return nil, err
	}
	return audit.ParseKey(secret)
}

// Holds returns how many records the journal of a data folder must have, by its
// newest checkpoint. Whoever opens the journal for writing tells it.
func Holds(data string, key *audit.Key) (uint64, error) {
	if key == nil {
		return 0, nil
	}
	return audit.SignedSize(file.ReadOnly{}, Dir(data), key.Verifier())
}

// Damage tells an error of opening a journal or its tree that says that they do
// not hold from one that says that they cannot be opened, which is of usage.
func Damage(err error) bool {
	var corrupt *journal.CorruptError
	return errors.As(err, &corrupt) || errors.Is(err, audit.ErrLost)
}

// CopySigned copies the checkpoints of a data folder, or of a backup, that cover at most
// so many records. It returns the verifier of the key that signed them, empty if the
// key is not there. The key stays where it is.
func CopySigned(from, to string, records uint64) (verifier string, err error) {
	if _, err := os.Stat(Dir(from)); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if key, err := Open(from, false); err == nil && key != nil {
		verifier = key.Verifier().String()
	}
	_, err = audit.CopyCheckpoints(file.OS{}, Dir(from), Dir(to), records)
	return verifier, err
}

// Bring puts a copy of the key into a data folder. It must be the one that a
// verifier is of, if that is known.
func Bring(data, from, verifier string) error {
	b, err := machine.ReadOwn(from)
	if err != nil {
		return err
	}
	key, err := audit.ParseKey(strings.TrimSpace(string(b)))
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	if got := key.Verifier().String(); verifier != "" && got != verifier {
		return fmt.Errorf("%s is the key of %s, and the checkpoints were signed by %s", from, got, verifier)
	}
	if err := machine.DataFolder(Dir(data)); err != nil {
		return err
	}
	return machine.WriteSecret(filepath.Join(Dir(data), keyName), strings.TrimSpace(string(b)))
}

// Check compares the journal of a data folder with its audit tree, and both with
// every checkpoint; ErrNone if there is no tree. log is as for audit.Check. It
// writes nothing.
func Check(ctx context.Context, data string, log func(signed uint64) (audit.Records, error)) (audit.Report, error) {
	key, err := Open(data, false)
	if err == nil && key == nil {
		err = fmt.Errorf("%s: %w", data, ErrNone)
	}
	if err != nil {
		return audit.Report{}, err
	}
	return audit.Check(ctx, nil, Dir(data), key.Verifier(), log)
}

// ErrNone: the data folder has no audit tree.
var ErrNone = errors.New("there is no audit tree")

// Explain adds to an error of opening a journal or its tree what can be done, if
// records are gone that were signed.
func Explain(err error, data string, holds uint64) error {
	var corrupt *journal.CorruptError
	if !errors.Is(err, audit.ErrLost) && (!errors.As(err, &corrupt) || corrupt.Seq > holds || holds == 0) {
		return err
	}
	return fmt.Errorf("%w\ndecisions that were answered are gone or changed: keep a copy of %s as it is, bring the journal back from a copy that has %d decisions, "+
		"or, if there is none, move %s aside and start again, which begins a new tree (docs/runbooks/audit_tree.md)", err, data, holds, Dir(data))
}
