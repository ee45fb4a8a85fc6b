// Command apigen writes the TypeScript types of the API from its OpenAPI document:
// a type for each schema, and for each operation where it is, what it takes and
// what it answers.
//
// It promises: equal documents give equal bytes, in the order of the document; what
// it writes needs nothing but the language; a document that uses what it does not
// know is an error that names the place. It refuses to write code: how requests are
// made and repeated is the client's, beside the file.
//
//	go generate ./tools/apigen
//
// It reads what openapi.yaml uses of OpenAPI 3.1 and JSON Schema 2020-12.
package main

//go:generate go run . -in ../../engine/httpapi/openapi.yaml -out ../../fe/client/src/api_gen.ts

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	in := flag.String("in", "engine/httpapi/openapi.yaml", "`file` of the document")
	out := flag.String("out", "fe/client/src/api_gen.ts", "`file` to write")
	flag.Parse()
	if err := run(*in, *out); err != nil {
		fmt.Fprintln(os.Stderr, "apigen:", err)
		os.Exit(1)
	}
}

func run(in, out string) error {
	b, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	text, err := Generate(b)
	if err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	return os.WriteFile(out, text, 0o644)
}
