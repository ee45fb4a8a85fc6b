// Package sign signs the messages that go to webhooks, and tells a message that was
// signed from any other.
//
// It promises: a message passes only if it is the one that was signed, by one of the
// secrets that its receiver knows, within a time of now; whoever sends and whoever
// receives run the same lines; how long a wrong signature takes says nothing of the
// right one. Several signatures and several secrets may stand beside each other, so
// that a secret can be changed without a message being lost.
//
// It refuses signatures of any other scheme than v1, and messages without an id or a
// time. It follows the Standard Webhooks specification, version 1.0.0 (HMAC-SHA-256 of
// RFC 2104 over id, time and body).
package sign

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of a message.
const (
	HeaderID        = "Webhook-Id"        // the same for each attempt of a message
	HeaderTimestamp = "Webhook-Timestamp" // of the attempt, seconds since the Unix epoch
	HeaderSignature = "Webhook-Signature" // v1,<base64>, several with spaces between them
)

// Tolerance is how far the time of a message may be from now: who has recorded a
// message can send it again for so long.
const Tolerance = 5 * time.Minute

const (
	prefix = "whsec_"
	scheme = "v1,"
	// minSecret and maxSecret are the bytes that the specification allows; ours have 32.
	minSecret, maxSecret = 24, 64
	// maxSignatures bounds what is compared: there are two while a secret changes.
	maxSignatures = 16
)

// The errors of Verify.
var (
	ErrHeaders   = errors.New("the headers of a webhook are missing or malformed")
	ErrTime      = errors.New("the message is too old, or of the future")
	ErrSignature = errors.New("no signature of the message is of a known secret")
)

// Text returns the text form of a secret.
func Text(secret []byte) string { return prefix + base64.StdEncoding.EncodeToString(secret) }

// Parse reads the text form of a secret; whsec_ in front of it may be missing.
func Parse(text string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(text), prefix))
	if err != nil || len(b) < minSecret || len(b) > maxSecret {
		return nil, fmt.Errorf("a secret is whsec_ and the base64 of %d..%d bytes", minSecret, maxSecret)
	}
	return b, nil
}

// Put signs a message by each of the secrets and sets its headers.
func Put(h http.Header, id string, at time.Time, body []byte, secrets ...[]byte) {
	seconds, all := strconv.FormatInt(at.Unix(), 10), make([]string, len(secrets))
	for i, s := range secrets {
		all[i] = scheme + base64.StdEncoding.EncodeToString(mac(s, id, seconds, body))
	}
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, seconds)
	h.Set(HeaderSignature, strings.Join(all, " "))
}

func mac(secret []byte, id, seconds string, body []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(id + "." + seconds + "."))
	h.Write(body)
	return h.Sum(nil)
}

// Verify reports whether a message is genuine, as of now: nil, or one of the errors of
// this package, or that of a secret that is none.
func Verify(h http.Header, body []byte, now time.Time, secrets ...string) error {
	at, err := Genuine(h, body, secrets...)
	if err == nil && (now.Sub(at) > Tolerance || at.Sub(now) > Tolerance) {
		err = ErrTime
	}
	return err
}

// Genuine is Verify of a message that may be old: it returns the time that was signed.
func Genuine(h http.Header, body []byte, secrets ...string) (time.Time, error) {
	id, seconds, signatures := h.Get(HeaderID), h.Get(HeaderTimestamp), h.Get(HeaderSignature)
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || id == "" || signatures == "" {
		return time.Time{}, ErrHeaders
	}
	genuine := false
	for _, text := range secrets {
		secret, err := Parse(text)
		if err != nil {
			return time.Time{}, err
		}
		want := mac(secret, id, seconds, body)
		for i, s := range strings.Fields(signatures) {
			if i == maxSignatures {
				break
			}
			got, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(s, scheme))
			genuine = genuine || strings.HasPrefix(s, scheme) && err == nil && hmac.Equal(got, want)
		}
	}
	if !genuine {
		return time.Time{}, ErrSignature
	}
	return time.Unix(at, 0), nil
}
