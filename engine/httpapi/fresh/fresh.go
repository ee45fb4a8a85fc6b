// Package fresh tells a client that it has a document already.
//
// It promises: a tag is of the document byte by byte, the same on every server and after
// a restart; a client that names it gets no body again. It refuses to guess: a list of
// tags that is not understood matches nothing, and the document is sent.
//
// It follows RFC 9110, sections 8.8.3 and 13.1.2.
package fresh

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// The headers, as net/http spells them.
const (
	Header  = "Etag"
	Compare = "If-None-Match"
)

// tagBytes of the hash tell any number of documents apart.
const tagBytes = 16

// Tag is the strong entity tag of a document, in its quotes.
func Tag(document []byte) string {
	sum := sha256.Sum256(document)
	return `"` + hex.EncodeToString(sum[:tagBytes]) + `"`
}

// Has reports whether a client that says so has the document of a tag. The comparison is
// the weak one, as section 13.1.2 asks for.
func Has(says []string, tag string) bool {
	for _, line := range says {
		for one := range strings.SplitSeq(line, ",") { // no tag of ours has a comma
			one = strings.Trim(one, " \t")
			if one == "*" || strings.TrimPrefix(one, "W/") == tag {
				return true
			}
		}
	}
	return false
}
