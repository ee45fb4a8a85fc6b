package sign

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The example of the Standard Webhooks specification, which every library of it is
// tested with.
const (
	exampleSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	exampleID     = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	exampleTime   = 1614265330
	exampleBody   = `{"test": 2432232314}`
	exampleSign   = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func example(t *testing.T) http.Header {
	t.Helper()
	secret, err := Parse(exampleSecret)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	Put(h, exampleID, time.Unix(exampleTime, 0), []byte(exampleBody), secret)
	return h
}

func TestVector(t *testing.T) {
	h, now := example(t), time.Unix(exampleTime, 0)
	if got := h.Get("webhook-signature"); got != exampleSign {
		t.Errorf("signed %s, the specification %s", got, exampleSign)
	}
	if secret, err := Parse(exampleSecret); err != nil || Text(secret) != exampleSecret {
		t.Errorf("the secret reads back as %s: %v", Text(secret), err)
	}
	for off, want := range map[time.Duration]error{0: nil, Tolerance: nil, -Tolerance: nil, Tolerance + time.Second: ErrTime, -Tolerance - time.Second: ErrTime} {
		if err := Verify(h, []byte(exampleBody), now.Add(off), exampleSecret); !errors.Is(err, want) {
			t.Errorf("%s later: %v", off, err)
		}
	}
	if err := Verify(h, []byte(exampleBody), now, strings.TrimPrefix(exampleSecret, prefix)); err != nil {
		t.Errorf("without whsec_: %v", err)
	}
}

// TestTamper flips each bit of the body, the id, the time and the signature.
func TestTamper(t *testing.T) {
	now := time.Unix(exampleTime, 0)
	try := func(what string, h http.Header, body []byte) {
		t.Helper()
		if Verify(h, body, now, exampleSecret) == nil {
			t.Errorf("%s passes", what)
		}
	}
	flipped := func(s string, see func(string)) {
		for i := range len(s) * 8 {
			b := []byte(s)
			b[i/8] ^= 1 << (i % 8)
			see(string(b))
		}
	}
	flipped(exampleBody, func(s string) { try("a body "+s, example(t), []byte(s)) })
	for name, value := range map[string]string{HeaderID: exampleID, HeaderTimestamp: "1614265330", HeaderSignature: exampleSign} {
		flipped(value, func(s string) {
			h := example(t)
			h.Set(name, s)
			try(name+" "+s, h, []byte(exampleBody))
		})
		h := example(t)
		h.Del(name)
		if err := Verify(h, []byte(exampleBody), now, exampleSecret); !errors.Is(err, ErrHeaders) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// TestRotation: either of two secrets proves a message that both have signed, and a
// receiver may know both.
func TestRotation(t *testing.T) {
	was, is, other := make([]byte, 32), append(make([]byte, 31), 1), append(make([]byte, 31), 2)
	h, now := http.Header{}, time.Unix(exampleTime, 0)
	Put(h, "x", now, nil, is, was)
	for _, known := range [][]string{{Text(was)}, {Text(is)}, {Text(other), Text(was)}} {
		if err := Verify(h, nil, now, known...); err != nil {
			t.Errorf("%v", err)
		}
	}
	if err := Verify(h, nil, now, Text(other)); !errors.Is(err, ErrSignature) {
		t.Errorf("a secret that did not sign: %v", err)
	}
	if err := Verify(h, nil, now); !errors.Is(err, ErrSignature) {
		t.Errorf("no secret: %v", err)
	}
	many := http.Header{HeaderID: {"x"}, HeaderTimestamp: h[HeaderTimestamp], HeaderSignature: {strings.Repeat("v1,AAAA ", maxSignatures) + h.Get(HeaderSignature)}}
	if err := Verify(many, nil, now, Text(is)); !errors.Is(err, ErrSignature) {
		t.Errorf("beyond the bound: %v", err)
	}
	for _, none := range []string{"", "whsec_", "whsec_AAAA", "whsec_%", Text(make([]byte, 65))} {
		if err := Verify(h, nil, now, none); err == nil || errors.Is(err, ErrSignature) {
			t.Errorf("the secret %q: %v", none, err)
		}
	}
}

// FuzzVerify: nothing but what was signed passes, and nothing panics.
func FuzzVerify(f *testing.F) {
	f.Add(exampleID, "1614265330", exampleSign, exampleBody)
	f.Add("", "-1", "v1, v1,=", "")
	f.Fuzz(func(t *testing.T, id, at, signature, body string) {
		h := http.Header{HeaderID: {id}, HeaderTimestamp: {at}, HeaderSignature: {signature}}
		if _, err := Genuine(h, []byte(body), exampleSecret); err == nil && (id != exampleID || body != exampleBody) {
			// The signature covers id.time.body: a dot may stand elsewhere.
			if id+"."+at+"."+body != exampleID+".1614265330."+exampleBody {
				t.Errorf("%q %q %q passes", id, at, body)
			}
		}
	})
}
