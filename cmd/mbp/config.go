package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/engine/audit"
	"github.com/mbp-market/mbp/engine/httpapi"
	"github.com/mbp-market/mbp/engine/httpapi/rate"
	"github.com/mbp-market/mbp/engine/httpapi/sockets"
	"github.com/mbp-market/mbp/engine/journal/postgres"
	"github.com/mbp-market/mbp/engine/snapshot"
	"github.com/mbp-market/mbp/fe"
)

// Config is everything that mbp serve can be told. The zero value is not usable;
// defaultConfig is. Each field has a flag, an environment variable and a line in
// the file of --config, all of one name: --dbt-results, MBP_DBT_RESULTS,
// dbt_results. A flag wins over the environment, the environment over the file,
// the file over the default.
type Config struct {
	Listen         string        // address of the HTTP listener, host:port; port 0 takes a free one
	AllowRemote    bool          // listen on an address that other machines reach, in plain HTTP
	TLSCert        string        // PEM file of the certificate and its chain; empty: plain HTTP
	TLSKey         string        // PEM file of its private key
	PublicURL      string        // where browsers reach this server; empty: not known
	OIDCIssuer     string        // the identity provider; empty: there is none
	OIDCAudience   string        // that bearer tokens are for; empty: none is taken
	OIDCRoles      string        // what groups may do: group=role+role;…
	OIDCGroups     string        // the claim that lists a person's groups
	OIDCClient     string        // client id of this server at the provider; empty: no sign-in there
	OIDCSecret     string        // file of the client's secret; empty: a public client
	HookNetworks   string        // networks to which webhooks may be sent, beside public addresses
	Data           string        // folder of journal, audit tree, lake and admin.key; made if absent
	Archive        string        // folder of released segments of the journal, made if absent; empty: all stay in the journal
	ArchiveAfter   uint64        // decisions that stay in the journal in any case
	Journal        secretURL     // PostgreSQL database of the journal; empty: the folder of Data
	JournalLease   time.Duration // how long this process may be silent before another one takes that journal
	Env            string        // name of this installation in metrics of the panel
	RUMURL         string        // where the panel sends its vitals; empty: nowhere
	DbtResults     string        // run_results.json of the dbt project, read at scrape time; empty: no metric
	LogFormat      string        // text or json, on standard error
	LogLevel       string        // debug, info, warn or error
	Queue          int           // requests that may wait for the writer; more are answered 429
	MaxBatch       int           // decisions that share one sync of the journal
	MaxBody        int64         // bytes of a request body
	MaxStreams     int           // open event streams in all; at most half of the connections
	MaxConnections int           // open connections; at most half of the file descriptors
	TraderRate     int           // mutations a second of a principal by keys that only trade; 0: no limit
	TraderBurst    int           // of them at once
	StaffRate      int           // mutations a second of a principal by other keys; 0: no limit
	StaffBurst     int           // of them at once
	ReadRate       int           // reads a second of one key; 0: no limit
	ReadBurst      int           // of them at once
	AdmitRate      int           // trading mutations a second of everybody together; 0: no limit
	AdmitBurst     int           // of them at once
	Audit          bool          // keep the audit tree
	SnapshotEvery  uint64        // decisions between two snapshots of the state; 0: none are written
	AuditEvery     time.Duration // between two signed checkpoints while the journal grows
	CDCFlush       time.Duration // longest time that a row waits for its file in the lake
	Shutdown       time.Duration // how long a graceful shutdown may take
}

func defaultConfig() Config {
	return Config{
		Listen: "127.0.0.1:8420", Data: "./mbp-data", ArchiveAfter: 1 << 20, JournalLease: postgres.DefaultLease, Env: "local", RUMURL: "http://127.0.0.1:9314/rum",
		DbtResults: "data/analytics/dbt/target/run_results.json", LogFormat: "text", LogLevel: "info",
		OIDCGroups: "groups", Queue: 4096, MaxBatch: 512, MaxBody: 64 << 10, MaxStreams: httpapi.DefaultMaxStreams, MaxConnections: sockets.DefaultLimit,
		TraderRate: rate.Traders.PerSecond, TraderBurst: rate.Traders.Burst,
		StaffRate: rate.Staff.PerSecond, StaffBurst: rate.Staff.Burst,
		ReadRate: rate.Reads.PerSecond, ReadBurst: rate.Reads.Burst,
		AdmitRate: rate.Everybody.PerSecond, AdmitBurst: rate.Everybody.Burst,
		SnapshotEvery: snapshot.DefaultEvery, Audit: true, AuditEvery: audit.DefaultEvery, CDCFlush: time.Second, Shutdown: 15 * time.Second,
	}
}

// bind gives every field its flag. The usage texts are the manual: help and
// --print-config show them.
func (c *Config) bind(f *pflag.FlagSet) {
	f.StringVar(&c.Listen, "listen", c.Listen, "address of the HTTP listener, `host:port`; port 0 takes a free one")
	f.BoolVar(&c.AllowRemote, "allow-remote", c.AllowRemote, "listen on an address that other machines reach; it is plain HTTP without tls-cert, so put TLS in front")
	f.StringVar(&c.TLSCert, "tls-cert", c.TLSCert, "PEM `file` of the certificate and its chain, looked at again when it changes and on SIGHUP; empty: plain HTTP")
	f.StringVar(&c.TLSKey, "tls-key", c.TLSKey, "PEM `file` of its private key")
	f.StringVar(&c.PublicURL, "public-url", c.PublicURL, "`URL` at which browsers reach this server, such as https://market.example.org; https keeps cookies to it")
	f.StringVar(&c.OIDCIssuer, "oidc-issuer", c.OIDCIssuer, "`URL` of the OpenID provider, as its tokens name it; empty: there is none")
	f.StringVar(&c.OIDCAudience, "oidc-audience", c.OIDCAudience, "audience that bearer tokens have to be for; empty: none is taken")
	f.StringVar(&c.OIDCRoles, "oidc-roles", c.OIDCRoles, "what the provider's groups may do: `group=role+role;…`; who is in none of them does not come in")
	f.StringVar(&c.OIDCGroups, "oidc-groups-claim", c.OIDCGroups, "claim that lists a person's groups")
	f.StringVar(&c.OIDCClient, "oidc-client-id", c.OIDCClient, "client id of this server at the provider, for sign-in by browser; empty: by key alone")
	f.StringVar(&c.OIDCSecret, "oidc-client-secret-file", c.OIDCSecret, "`file` with the client's secret, of this user alone; empty: a public client, by PKCE")
	f.StringVar(&c.HookNetworks, "webhook-networks", c.HookNetworks, "`networks` to which webhooks may be sent beside public addresses, 10.1.0.0/16,…; to loopback in one of them plain http is spoken, too; empty: none")
	f.StringVar(&c.Data, "data", c.Data, "`folder` of the journal, the audit tree, the lake and admin.key; made if absent")
	f.StringVar(&c.Archive, "archive", c.Archive, "`folder` that takes the segments of the journal which a snapshot covers and every reader has read; none are released while there is no snapshot; empty: all stay")
	f.Uint64Var(&c.ArchiveAfter, "archive-after", c.ArchiveAfter, "newest decisions that stay in the journal in any case")
	f.Var(&c.Journal, "journal", "`URL` of the PostgreSQL database that holds the journal, postgres://user@host/database; the password is better in PGPASSWORD or a passfile; empty: a folder in data")
	f.DurationVar(&c.JournalLease, "journal-lease", c.JournalLease, "how long this process may be silent before another one takes the journal in PostgreSQL")
	f.StringVar(&c.Env, "env", c.Env, "`name` of this installation in the panel's metrics")
	f.StringVar(&c.RUMURL, "rum-url", c.RUMURL, "`URL` to which the panel sends its vitals; empty: nowhere")
	f.StringVar(&c.DbtResults, "dbt-results", c.DbtResults, "run_results.json `file` of the dbt project, read at scrape time; empty: no metric")
	f.StringVar(&c.LogFormat, "log-format", c.LogFormat, "text or json, on standard error")
	f.StringVar(&c.LogLevel, "log-level", c.LogLevel, "debug, info, warn or error")
	f.IntVar(&c.Queue, "queue", c.Queue, "requests that may wait for the writer; more are answered 429")
	f.IntVar(&c.MaxBatch, "max-batch", c.MaxBatch, "decisions that share one sync of the journal")
	f.Int64Var(&c.MaxBody, "max-body", c.MaxBody, "`bytes` of a request body")
	f.IntVar(&c.MaxStreams, "max-streams", c.MaxStreams, "open event streams in all; at most half of the connections")
	f.IntVar(&c.MaxConnections, "max-connections", c.MaxConnections, "open connections; at most half of the file descriptors of the process")
	f.IntVar(&c.TraderRate, "trader-rate", c.TraderRate, "mutations a second of a principal by keys that only trade, a batch counting its items, and as many cancellations; more are answered 429; 0: no limit")
	f.IntVar(&c.TraderBurst, "trader-burst", c.TraderBurst, "of them at once")
	f.IntVar(&c.StaffRate, "staff-rate", c.StaffRate, "mutations a second of a principal by other keys; 0: no limit")
	f.IntVar(&c.StaffBurst, "staff-burst", c.StaffBurst, "of them at once")
	f.IntVar(&c.ReadRate, "read-rate", c.ReadRate, "reads a second of one API key, a dear one counting as several; 0: no limit")
	f.IntVar(&c.ReadBurst, "read-burst", c.ReadBurst, "of them at once")
	f.IntVar(&c.AdmitRate, "admit-rate", c.AdmitRate, "orders and other trading a second that is admitted of everybody together, a batch counting its items, and as many cancellations; more is answered 429; 0: no limit")
	f.IntVar(&c.AdmitBurst, "admit-burst", c.AdmitBurst, "of them at once")
	f.Uint64Var(&c.SnapshotEvery, "snapshot-every", c.SnapshotEvery, "decisions between two snapshots, which shorten the next start; 0: none are written, and memory is compared with nothing")
	f.BoolVar(&c.Audit, "audit", c.Audit, "keep the audit tree, which proves what the journal holds")
	f.DurationVar(&c.AuditEvery, "audit-every", c.AuditEvery, "longest time that a decision waits for a signed checkpoint")
	f.DurationVar(&c.CDCFlush, "cdc-flush", c.CDCFlush, "longest time that a row waits for its file in the lake")
	f.DurationVar(&c.Shutdown, "shutdown", c.Shutdown, "how long a graceful shutdown may take")
}

// notSettings are the flags of mbp serve that no file and no variable sets.
var notSettings = map[string]bool{"config": true, "print-config": true, "help": true}

// fileName is how a flag is called in the file.
func fileName(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

// envName is how a flag is called in the environment.
func envName(flag string) string { return "MBP_" + strings.ToUpper(fileName(flag)) }

// load fills what no flag has set from the environment, then from the file. It
// reports every fault.
func load(f *pflag.FlagSet, file string, environ func(string) (string, bool)) error {
	values, errs := map[string]string{}, []error(nil)
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read the configuration: %w", err)
		}
		if values, err = parseFile(b); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	f.VisitAll(func(flag *pflag.Flag) {
		if notSettings[flag.Name] {
			return
		}
		value, source := "", ""
		if v, ok := values[fileName(flag.Name)]; ok {
			value, source = v, file+": "+fileName(flag.Name)
			delete(values, fileName(flag.Name))
		}
		if v, ok := environ(envName(flag.Name)); ok {
			value, source = v, envName(flag.Name)
		}
		if flag.Changed || source == "" {
			return
		}
		if err := flag.Value.Set(value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %q: %w", source, value, err))
		}
	})
	for name := range values {
		errs = append(errs, fmt.Errorf("%s: %s is not known", file, name))
	}
	return errors.Join(errs...)
}

// parseFile reads a flat YAML mapping of scalars; yaml.v3 itself refuses names
// given twice.
func parseFile(b []byte) (map[string]string, error) {
	out := map[string]string{}
	d := yaml.NewDecoder(bytes.NewReader(b))
	var doc map[string]yaml.Node
	if err := d.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one YAML document")
	}
	for name, n := range doc {
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
			return nil, fmt.Errorf("line %d: %s is not a single value", n.Line, name)
		}
		out[name] = n.Value
	}
	return out, nil
}

// printConfig writes the configuration as a file that load reads back.
func printConfig(w io.Writer, f *pflag.FlagSet) {
	f.VisitAll(func(flag *pflag.Flag) {
		if notSettings[flag.Name] {
			return
		}
		value := flag.Value.String()
		if flag.Value.Type() == "string" {
			b, _ := yaml.Marshal(value) // a string always encodes
			value = strings.TrimSpace(string(b))
		}
		_, text := pflag.UnquoteUsage(flag)
		fmt.Fprintf(w, "# %s (--%s, %s)\n%s: %s\n", text, flag.Name, envName(flag.Name), fileName(flag.Name), value)
	})
}

// Validate reports every fault at once.
func (c *Config) Validate() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	host, _, err := net.SplitHostPort(c.Listen)
	fault(err != nil, "listen: %q is not host:port", c.Listen)
	fault(err == nil && !loopback(host) && !c.AllowRemote && c.TLSCert == "",
		"listen: other machines reach %q and this is plain HTTP; give tls-cert and tls-key, or say allow-remote if something in front speaks TLS", c.Listen)
	c.identityFaults(fault)
	_, err = networks(c.HookNetworks)
	fault(err != nil, "webhook-networks: %v", err)
	fault(c.Data == "", "data: the folder is missing")
	fault(c.Archive != "" && within(c.Archive, notary.Journal(c.Data)), "archive: it lies within the journal itself")
	fault(c.Archive != "" && c.Journal != "", "archive: the journal in PostgreSQL has no segments to release")
	fault(c.Journal != "" && c.Journal.String() == "", "journal: it is not a connection string of PostgreSQL (postgres://user@host:5432/database?sslmode=verify-full)")
	fault(c.JournalLease < time.Second || c.JournalLease > time.Minute, "journal-lease: 1s..1m")
	fault(len(c.Env) < 1 || len(c.Env) > 32 || strings.Trim(c.Env, "abcdefghijklmnopqrstuvwxyz0123456789-") != "",
		"env: 1..32 characters a-z, 0-9, -")
	_, err = fe.Policy(c.RUMURL)
	fault(err != nil, "rum-url: %v", err)
	fault(c.DbtResults != "" && filepath.Base(c.DbtResults) != "run_results.json", "dbt-results: the file is called run_results.json")
	fault(c.LogFormat != "text" && c.LogFormat != "json", "log-format: text or json")
	var level slog.Level
	fault(level.UnmarshalText([]byte(c.LogLevel)) != nil, "log-level: debug, info, warn or error")
	fault(c.Queue < 1 || c.Queue > 1<<20, "queue: 1..1048576")
	fault(c.MaxBatch < 1 || c.MaxBatch > 4096, "max-batch: 1..4096")
	fault(c.MaxBody < 1024 || c.MaxBody > 1<<20, "max-body: 1024..1048576")
	fault(c.MaxStreams < 1 || c.MaxStreams > 1<<16, "max-streams: 1..65536")
	fault(c.MaxConnections < 8 || c.MaxConnections > 1<<16, "max-connections: 8..65536")
	for name, r := range map[string]rate.Limit{"trader-rate": c.traders(), "staff-rate": c.staff(), "read-rate": c.reads(), "admit-rate": c.everybody()} {
		err := r.Validate()
		fault(err != nil, "%s: %v", name, err)
	}
	fault(c.SnapshotEvery != 0 && c.SnapshotEvery < 1000, "snapshot-every: 0, or at least 1000")
	fault(c.AuditEvery < 100*time.Millisecond || c.AuditEvery > time.Hour, "audit-every: 100ms..1h")
	fault(c.CDCFlush < 10*time.Millisecond || c.CDCFlush > time.Minute, "cdc-flush: 10ms..1m")
	fault(c.Shutdown < time.Second || c.Shutdown > 5*time.Minute, "shutdown: 1s..5m")
	return errors.Join(errs...)
}

// within reports whether a path is a folder or lies in it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// secretURL is a connection string, which may hold a password. It is shown without
// one: by --print-config, in errors, and wherever a value is formatted.
type secretURL string

// String is the string without its password; empty if it is not understood.
func (u secretURL) String() string {
	if u == "" {
		return ""
	}
	return postgres.Redact(string(u))
}

// Set implements pflag.Value. Faults are found by Validate, which says nothing of it.
func (u *secretURL) Set(value string) error {
	*u = secretURL(value)
	return nil
}

// Type implements pflag.Value.
func (u *secretURL) Type() string { return "string" }

func (c *Config) traders() rate.Limit { return limit(c.TraderRate, c.TraderBurst) }
func (c *Config) staff() rate.Limit   { return limit(c.StaffRate, c.StaffBurst) }
func (c *Config) reads() rate.Limit   { return limit(c.ReadRate, c.ReadBurst) }

func (c *Config) everybody() rate.Limit { return limit(c.AdmitRate, c.AdmitBurst) }

// limit leaves the burst out where there is no limit, so that one 0 turns it off.
func limit(perSecond, burst int) rate.Limit {
	if perSecond == 0 {
		return rate.Limit{}
	}
	return rate.Limit{PerSecond: perSecond, Burst: burst}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
