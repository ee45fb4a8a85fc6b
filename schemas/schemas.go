// Package schemas embeds the registered schemas of the hot tables, so that a
// binary validates against exactly the versions it was built with.
//
// The tree is mbp/<table>/v<semver>.json in JSON Schema 2020-12, every object
// closed. mbp/SHA256SUMS (the format of sha256sum) names each published
// version: a published file never changes, evolution adds a file. What may
// change between versions is decided by package registry, never by hand.
package schemas

import "embed"

// FS holds mbp/<table>/v<semver>.json and mbp/SHA256SUMS.
//
//go:embed mbp/SHA256SUMS mbp/*/*.json
var FS embed.FS
