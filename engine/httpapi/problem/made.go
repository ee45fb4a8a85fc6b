package problem

import (
	"encoding/json"
	"net/http"
	"time"
)

// Made is a refusal whose document is written once. Under a flood it is nine of ten
// answers, and what one costs is taken from the tenth.
type Made struct {
	Code string

	status int
	body   []byte
}

// Make writes the document of a code that the table knows.
func Make(code, detail string) *Made {
	e := Refusal{Code: code, Detail: detail}
	doc := e.Document(http.Header{})
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err) // a document is texts and numbers, which always encode
	}
	b = append(b, '\n')
	return &Made{code, doc.Status, b}
}

// The values of headers that every such answer has; net/http only reads them.
var (
	kind    = []string{"application/problem+json"}
	noStore = []string{"no-store"}
)

// Send answers with it: whoever is refused may come again after the wait. The headers
// are the eight that a small map has room for, with those that every answer has: a ninth
// would make net/http build two tables. So the two that say how a browser treats a page
// are left out, which this is none of, and net/http adds the length by itself.
func (m *Made) Send(w http.ResponseWriter, wait time.Duration) {
	h := w.Header()
	delete(h, "Referrer-Policy")
	delete(h, "Cross-Origin-Opener-Policy")
	h["Content-Type"], h["Cache-Control"] = kind, noStore
	h["Retry-After"] = []string{Seconds(wait)}
	w.WriteHeader(m.status)
	_, _ = w.Write(m.body) // a client that is gone needs no refusal
}
