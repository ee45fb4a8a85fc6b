package problem

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Made is a refusal whose document is written once. Under a flood it is nine of ten
// answers, and what one costs is taken from the tenth.
type Made struct {
	Code string

	status int
	body   []byte
	length []string
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
	return &Made{code, doc.Status, b, []string{strconv.Itoa(len(b))}}
}

// The values of headers that every such answer has; net/http only reads them.
var (
	kind    = []string{"application/problem+json"}
	noStore = []string{"no-store"}
)

// Send answers with it: whoever is refused may come again after the wait.
func (m *Made) Send(w http.ResponseWriter, wait time.Duration) {
	h := w.Header()
	h["Content-Type"], h["Content-Length"], h["Cache-Control"] = kind, m.length, noStore
	h["Retry-After"] = []string{Seconds(wait)}
	w.WriteHeader(m.status)
	_, _ = w.Write(m.body) // a client that is gone needs no refusal
}
