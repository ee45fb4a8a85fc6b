package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/mbp-market/mbp/cmd/mbp/machine"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// adminKeyFile holds the secret of the first key, in the data folder.
const adminKeyFile = "admin.key"

var secretForm = regexp.MustCompile(`^mbp_([a-z2-7]{8}_)?[A-Za-z0-9_-]{43}\n$`)

// bootstrap gives an empty journal its first decision: the policy, the first
// template and the first key.
//
// The crash story: the secret is durable in its file, and the file in its
// folder, before the command that carries its digest is submitted. A crash
// before the file is whole leaves a torn file, which the next start replaces,
// because no journal knows it. A crash after that, and before the decision is
// durable, leaves a whole file and an empty journal: the next start takes the
// same secret. After the decision the file is never read again; whoever moves
// it to a safe place loses nothing.
func bootstrap(ctx context.Context, q *sequencer.Sequencer, data string) error {
	done := false
	q.View(func(s *core.State) { done = s.Initialised() })
	if done {
		return nil
	}
	digest, id, err := adminKey(filepath.Join(data, adminKeyFile))
	if err != nil {
		return fmt.Errorf("make the first key: %w", err)
	}
	got, err := q.Submit(ctx, sequencer.Request{Principal: engine.System, Command: &engine.Initialise{
		Policy: engine.DefaultPolicy(), Template: engine.DefaultTemplate(),
		Admin: engine.Key{SHA256: digest, Principal: "admin", Roles: engine.RoleAdmin, ID: id},
	}})
	if err != nil {
		return fmt.Errorf("submit the first command: %w", err)
	}
	if d := got.Decision; d.Code != engine.OK {
		return fmt.Errorf("the first command was refused: %s %s", d.Code, d.Detail)
	}
	return nil
}

// adminKey makes the file of the first secret, or takes the one that a start
// before this one made. It returns the digest and the public id.
func adminKey(name string) (digest engine.Digest, id string, err error) {
	b, err := machine.ReadOwn(name)
	switch {
	case err == nil && secretForm.Match(b):
		secret := string(b[:len(b)-1])
		return client.DigestOf(secret), client.IDOf(secret), nil
	case err == nil && len(b) >= len("mbp_k7abcdef_\n")+43:
		return digest, "", fmt.Errorf("%s is there and holds something else; move it away", name)
	case err == nil: // torn by a crash
		if err := os.Remove(name); err != nil {
			return digest, "", err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return digest, "", err
	}
	secret, digest, err := client.NewSecret()
	if err != nil {
		return digest, "", err
	}
	return digest, client.IDOf(secret), machine.WriteSecret(name, secret)
}
