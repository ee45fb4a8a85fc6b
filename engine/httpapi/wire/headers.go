package wire

import (
	"mime"
	"net/http"
	"strings"
)

// IsJSON reports whether a Content-Type is that of JSON in UTF-8.
func IsJSON(contentType string) bool {
	if contentType == "application/json" { // as nearly everybody writes it
		return true
	}
	kind, params, err := mime.ParseMediaType(contentType)
	charset := params["charset"]
	return err == nil && kind == "application/json" && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

// IdempotencyKey reads the header of that name: 1..64 visible ASCII characters, once.
func IdempotencyKey(r *http.Request) (string, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) != 1 {
		return "", Malformed("the header Idempotency-Key is needed once")
	}
	key := values[0]
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return "", Malformed("Idempotency-Key has 1..64 visible ASCII characters")
		}
	}
	if len(key) < 1 || len(key) > 64 {
		return "", Malformed("Idempotency-Key has 1..64 visible ASCII characters")
	}
	return key, nil
}
