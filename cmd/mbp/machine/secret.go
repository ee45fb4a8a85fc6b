package machine

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// secretSize is the bytes of a secret of the installation.
const secretSize = 32

// secretForm is how its file looks: base64url of the bytes, and a line feed.
var secretForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}\n$`)

// ErrNoSecret: the file of a secret is missing or torn, and none may be made.
var ErrNoSecret = errors.New("is missing or damaged (a first one has 43 characters of base64url and a line feed, mode 0600)")

// Secret reads the file of a secret of the installation, 32 bytes that nobody else
// knows. If there is none, or a torn one, it makes it, if it may: whoever calls knows
// whether anything depends on one that is lost.
//
// The crash story: the file is durable before anybody uses what is in it. A crash before
// it is whole leaves a torn file, which the next start replaces, because nothing depends
// on it yet.
func Secret(name string, may bool) ([]byte, error) {
	b, err := ReadOwn(name)
	switch {
	case err == nil && secretForm.Match(b):
		return base64.RawURLEncoding.DecodeString(string(b[:len(b)-1]))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case !may:
		return nil, fmt.Errorf("%s %w", name, ErrNoSecret)
	case err == nil && len(b) >= 44:
		return nil, fmt.Errorf("%s is there and holds something else; move it away", name)
	case err == nil: // torn by a crash
		if err := os.Remove(name); err != nil {
			return nil, err
		}
	}
	secret := make([]byte, secretSize)
	_, _ = rand.Read(secret) // it never fails
	return secret, WriteSecret(name, base64.RawURLEncoding.EncodeToString(secret))
}

// Before is the name of the file that has a secret's predecessor, and next that of the
// successor which is not in use yet.
func Before(name string) string { return name + ".before" }
func next(name string) string   { return name + ".next" }

// ErrReplacing: a secret is being replaced already; destroy its predecessor first.
var ErrReplacing = errors.New("is there: the secret is being replaced; see who still needs it, and destroy it first")

// Replace gives a secret a successor, and keeps it as Before until somebody destroys
// that.
//
// The crash story: the successor is durable under a name of its own before the secret
// takes that of Before, and takes the secret's name after that. A crash in between leaves
// no file of the secret's name, with which nobody starts, and the next call ends the
// work. It never makes a successor for a secret that is not there: nobody could tell
// whether it is lost.
func Replace(name string) error {
	is := func(name string) bool { _, err := os.Lstat(name); return err == nil }
	begun := is(next(name))
	switch {
	case is(Before(name)) && (is(name) || !begun):
		return fmt.Errorf("%s %w", Before(name), ErrReplacing)
	case !begun:
		if _, err := Secret(name, false); err != nil {
			return err
		}
	}
	if _, err := Secret(next(name), true); err != nil { // it may be torn
		return err
	}
	if !is(Before(name)) {
		if err := os.Rename(name, Before(name)); err != nil {
			return err
		}
		if err := syncDir(filepath.Dir(name)); err != nil {
			return err
		}
	}
	return errors.Join(os.Rename(next(name), name), syncDir(filepath.Dir(name)))
}
