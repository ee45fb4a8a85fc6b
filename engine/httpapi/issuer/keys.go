package issuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// How long keys are believed, and how often they are asked for.
const (
	// KeysAge is when the keys are read anew: a key that was taken back is believed
	// no longer than this.
	KeysAge = 10 * time.Minute
	// KeysStale is how long keys are believed while their provider is away.
	KeysStale = time.Hour
	// KeysPause is between two requests for keys, whatever tokens come.
	KeysPause = 10 * time.Second
	// maxKeys of a provider: it has one, and two while it changes them.
	maxKeys = 32
	// minRSA is the shortest RSA key in bits (NIST SP 800-131A).
	minRSA = 2048
)

// algorithms are the ones that only the holder of a private key can sign with. A
// symmetric one would take the public key for the secret.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

func algorithmNames() []string {
	out := make([]string, len(algorithms))
	for i, a := range algorithms {
		out[i] = string(a)
	}
	return out
}

// keys are the provider's signing keys, as it published them last.
type keys struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu    sync.Mutex // held while the provider is asked
	known struct {
		sync.RWMutex
		set []jose.JSONWebKey
		at  time.Time // when they were read
	}
	tried time.Time // guarded by mu
}

var _ oidc.KeySet = (*keys)(nil)

func newKeys(url string, client *http.Client, now func() time.Time) *keys {
	return &keys{url: url, client: client, now: now}
}

// VerifySignature implements oidc.KeySet.
func (k *keys) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil || len(jws.Signatures) != 1 {
		return nil, errors.New("not signed once")
	}
	set, age := k.current()
	payload, known := verify(set, jws)
	if known && age < KeysAge {
		return payload, errUnless(payload)
	}
	renewed, away := k.renew(ctx, age, known && age < KeysStale)
	if renewed != nil {
		set = renewed
	} else if age >= KeysStale {
		set = nil
	}
	if set == nil {
		if told, is := ctx.Value(awayKey{}).(*error); is {
			*told = away
		}
		return nil, away
	}
	payload, _ = verify(set, jws)
	return payload, errUnless(payload)
}

// awayKey is where the context has room for the reason that the keys are not known:
// oidc does not hand errors through.
type awayKey struct{}

func errUnless(payload []byte) error {
	if payload == nil {
		return errors.New("no key of the provider has signed it")
	}
	return nil
}

// current returns the keys, nil if there are none yet, and their age.
func (k *keys) current() ([]jose.JSONWebKey, time.Duration) {
	k.known.RLock()
	defer k.known.RUnlock()
	return k.known.set, k.now().Sub(k.known.at)
}

// verify returns what was signed, nil if the signature is wrong; known is whether
// one of the keys is the one that the token names. A token that names none may be
// signed by any of them.
func verify(set []jose.JSONWebKey, jws *jose.JSONWebSignature) (payload []byte, known bool) {
	head := jws.Signatures[0].Header
	for i := range set {
		key := &set[i]
		if head.KeyID != "" && key.KeyID != head.KeyID || key.Algorithm != "" && key.Algorithm != head.Algorithm {
			continue
		}
		known = known || head.KeyID != ""
		if payload, err := jws.Verify(key); err == nil {
			return payload, true
		}
	}
	return nil, known
}

// renew reads the keys, unless they were read since the caller looked, who saw them
// at an age, or the provider was asked a moment ago. Who can do without does not
// wait for another's request.
func (k *keys) renew(ctx context.Context, age time.Duration, without bool) ([]jose.JSONWebKey, error) {
	if !without {
		k.mu.Lock()
	} else if !k.mu.TryLock() {
		return nil, errors.New("it is being asked")
	}
	defer k.mu.Unlock()
	if set, now := k.current(); set != nil && now < age {
		return set, nil
	}
	if k.now().Sub(k.tried) < KeysPause {
		return nil, errors.New("it was asked a moment ago")
	}
	k.tried = k.now()
	set, err := k.fetch(ctx)
	if err != nil {
		return nil, err
	}
	k.known.Lock()
	defer k.known.Unlock()
	k.known.set, k.known.at = set, k.now()
	return set, nil
}

// fetch asks the provider, for whoever comes after the first one, too.
func (k *keys) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	res, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(res.Body).Decode(&doc); err != nil {
		return nil, err
	}
	if len(doc.Keys) > maxKeys {
		return nil, fmt.Errorf("%d keys", len(doc.Keys))
	}
	set := []jose.JSONWebKey{}
	for _, raw := range doc.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && signing(&key) { // else one of a kind that is not for us
			set = append(set, key)
		}
	}
	return set, nil
}

// signing reports whether a key is public, for signatures, and strong enough.
func signing(key *jose.JSONWebKey) bool {
	if key.Use != "" && key.Use != "sig" || !key.Valid() {
		return false
	}
	switch x := key.Key.(type) {
	case *rsa.PublicKey:
		return x.N.BitLen() >= minRSA
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}
