package client

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"

	"github.com/mbp-market/mbp/engine"
)

// AuditCheckpoint is the newest signed checkpoint of the audit tree.
type AuditCheckpoint struct {
	Seq        engine.Seq `json:"seq"`        // the last record that it covers
	Checkpoint string     `json:"checkpoint"` // signed note
}

// AuditGrowth proves that the log of To records continues that of From records.
type AuditGrowth struct {
	Seq   engine.Seq `json:"seq"`
	From  engine.Seq `json:"from"`
	To    engine.Seq `json:"to"`
	Proof []string   `json:"proof"` // hashes in base64
}

// AuditCheckpoint returns the newest signed checkpoint. Roles: auditor, admin.
func (c *Client) AuditCheckpoint(ctx context.Context) (*AuditCheckpoint, error) {
	return get[AuditCheckpoint](ctx, c, "/v1/audit/checkpoint", nil)
}

// AuditProof returns the proof that a decision is in the journal, byte by byte as
// the server gave it but for the end of the line. Roles: auditor, admin.
func (c *Client) AuditProof(ctx context.Context, seq engine.Seq) (json.RawMessage, error) {
	b, err := get[json.RawMessage](ctx, c, "/v1/audit/proof/"+strconv.FormatUint(uint64(seq), 10), nil)
	if err != nil {
		return nil, err
	}
	return *b, nil
}

// AuditGrowth proves that the log of to records continues that of from records; a
// to of zero means the newest checkpoint. Roles: auditor, admin.
func (c *Client) AuditGrowth(ctx context.Context, from, to engine.Seq) (*AuditGrowth, error) {
	q := url.Values{"from": {strconv.FormatUint(uint64(from), 10)}}
	if to > 0 {
		q.Set("to", strconv.FormatUint(uint64(to), 10))
	}
	return get[AuditGrowth](ctx, c, "/v1/audit/consistency", q)
}

// AuditVerifier returns the public key of the checkpoints. It needs no API key; an
// auditor takes it from where the server cannot change it.
func (c *Client) AuditVerifier(ctx context.Context) (string, error) {
	doc, err := get[struct {
		Verifier string `json:"verifier"`
	}](ctx, c, "/audit/verifier", nil)
	if err != nil {
		return "", err
	}
	return doc.Verifier, nil
}
