package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/mbp-market/mbp/engine"
)

const (
	keyPrefix = "mbp-audit-"   // of a key's name, before 16 random hex digits
	atPrefix  = "decided_at "  // of the line that carries the time
	maxNote   = 1024           // bytes of a signed checkpoint; ours have about 260
	secretTag = "PRIVATE+KEY+" // how sumdb/note begins a private key
)

// Checkpoint is the state of a log at one moment.
type Checkpoint struct {
	Origin string      // name of the log, and of the key that signs it
	Size   uint64      // records; at least 1
	Root   tlog.Hash   // of the tree of the first Size records
	At     engine.Time // when the last of them was decided, engine time
}

// text is the signed part. Equal logs give equal texts.
func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n%s%s\n", c.Origin, c.Size, c.Root, atPrefix, c.At)
}

// parseText reads exactly what text writes.
func parseText(text string) (c Checkpoint, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 5 {
		return c, invalid("a checkpoint has 4 lines, this one %d", len(lines)-1)
	}
	c.Origin = lines[0]
	if c.Size, err = strconv.ParseUint(lines[1], 10, 63); err != nil || c.Size == 0 {
		return c, invalid("size %q", lines[1])
	}
	if c.Root, err = tlog.ParseHash(lines[2]); err != nil {
		return c, invalid("root %q", lines[2])
	}
	at, _ := strings.CutPrefix(lines[3], atPrefix)
	if err := c.At.UnmarshalText([]byte(at)); err != nil {
		return c, invalid("time %q", lines[3])
	}
	if c.text() != text {
		return c, invalid("the checkpoint is not in its canonical form")
	}
	return c, nil
}

// Signed is a checkpoint with its signature.
type Signed struct {
	Checkpoint
	Note []byte // the signed note, as it is published; not changed by anybody
}

// Verifier knows the checkpoints of one log by the public half of its key.
type Verifier struct {
	text string
	key  note.Verifier
}

// ParseVerifier reads a public key in the form that String writes.
func ParseVerifier(text string) (Verifier, error) {
	key, err := note.NewVerifier(text)
	if err != nil {
		return Verifier{}, invalid("verifier key: %v", err)
	}
	// NewVerifier has checked the form: name+hash+base64(algorithm, key).
	public, err := base64.StdEncoding.DecodeString(text[strings.Index(text, "+")+len("+00000000+"):])
	if err != nil {
		return Verifier{}, invalid("verifier key: %v", err)
	}
	if again, err := note.NewEd25519VerifierKey(key.Name(), public[1:]); err != nil || again != text {
		return Verifier{}, invalid("the verifier key is not in its canonical form")
	}
	return Verifier{text, key}, nil
}

// String returns the public key: name, hash and key with plus signs in between.
func (v Verifier) String() string { return v.text }

// Open checks a signed checkpoint: one signature, by this key, over the canonical
// text of a checkpoint of this log.
func (v Verifier) Open(signed []byte) (Checkpoint, error) {
	if len(signed) > maxNote {
		return Checkpoint{}, invalid("a checkpoint of %d bytes", len(signed))
	}
	n, err := note.Open(signed, note.VerifierList(v.key))
	if err != nil {
		return Checkpoint{}, invalid("checkpoint: %v", err)
	}
	if len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 {
		return Checkpoint{}, invalid("the checkpoint has more than one signature")
	}
	// Base64 has spare bits at its end, which note.Open lets pass.
	sig := n.Sigs[0].Base64
	if b, err := base64.StdEncoding.DecodeString(sig); err != nil || base64.StdEncoding.EncodeToString(b) != sig {
		return Checkpoint{}, invalid("the signature is not in its canonical form")
	}
	c, err := parseText(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	if c.Origin != v.key.Name() {
		return Checkpoint{}, invalid("the checkpoint is of %s, the key of %s", c.Origin, v.key.Name())
	}
	return c, nil
}

// Key signs checkpoints. It holds a secret and prints none.
type Key struct {
	signer   note.Signer
	verifier Verifier
}

// NewSecret makes a key under a random name and returns its secret, one line
// without an end. Each data folder has a key of its own.
func NewSecret() (string, error) {
	var name [8]byte
	_, _ = rand.Read(name[:]) // never fails: crypto/rand ends the process instead
	secret, _, err := note.GenerateKey(rand.Reader, keyPrefix+hex.EncodeToString(name[:]))
	return secret, err
}

// ParseKey reads a secret of NewSecret. Its errors do not quote it.
func ParseKey(secret string) (*Key, error) {
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, invalid("private key: %v", err)
	}
	// NewSigner has checked the form: name+hash+base64(algorithm, seed).
	parts := strings.SplitN(strings.TrimPrefix(secret, secretTag), "+", 3)
	seed, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return nil, invalid("private key: its seed has another size")
	}
	public, ok := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return nil, invalid("private key: not of Ed25519")
	}
	text, err := note.NewEd25519VerifierKey(signer.Name(), public)
	if err != nil {
		return nil, invalid("private key: %v", err)
	}
	v, err := ParseVerifier(text)
	return &Key{signer, v}, err
}

// Verifier returns the public half.
func (k *Key) Verifier() Verifier { return k.verifier }

// String names the key and hides its secret.
func (k *Key) String() string { return "key " + k.signer.Name() }

// GoString does, too.
func (k *Key) GoString() string { return k.String() }

// sign signs the state of the log of this key.
func (k *Key) sign(size uint64, root tlog.Hash, at engine.Time) (Signed, error) {
	c := Checkpoint{Origin: k.signer.Name(), Size: size, Root: root, At: at}
	b, err := note.Sign(&note.Note{Text: c.text()}, k.signer)
	if err != nil {
		return Signed{}, fmt.Errorf("sign checkpoint %d: %w", size, err)
	}
	return Signed{c, bytes.Clone(b)}, nil
}
