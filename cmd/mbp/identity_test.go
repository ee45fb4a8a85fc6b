package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/tests/idp"
)

func TestGroupRoles(t *testing.T) {
	got, err := groupRoles("traders=trader; CN=Ops,OU=x=operator+moderator;;")
	if err != nil || len(got) != 2 || got["traders"] != engine.RoleTrader || got["CN=Ops,OU=x"] != engine.RoleOperator|engine.RoleModerator {
		t.Errorf("%v %v", got, err)
	}
	for _, text := range []string{"traders", "=trader", "traders=", "traders=king", "a=trader;a=admin", "a=trader+"} {
		if got, err := groupRoles(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// TestIdentityFaults: each fault is told, by the name of its setting.
func TestIdentityFaults(t *testing.T) {
	good := func() Config {
		c := defaultConfig()
		c.OIDCIssuer, c.OIDCAudience, c.OIDCRoles = "https://idp.example", "mbp", "a=trader"
		return c
	}
	c := good()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Config){
		"tls-cert and tls-key":       func(c *Config) { c.TLSCert = "c.pem" },
		"public-url: ":               func(c *Config) { c.PublicURL = "market.example" },
		"public-url: the provider":   func(c *Config) { c.OIDCClient = "panel" },
		"oidc-issuer: the other":     func(c *Config) { c.OIDCIssuer = "" },
		"oidc-issuer: issuer":        func(c *Config) { c.OIDCIssuer = "http://idp.example" },
		"oidc-issuer: an issuer":     func(c *Config) { c.OIDCAudience = "" },
		"oidc-issuer: callback":      func(c *Config) { c.OIDCClient, c.PublicURL = "panel", "http://market.example" },
		"oidc-roles: group":          func(c *Config) { c.OIDCRoles = "a=king" },
		"oidc-roles: without":        func(c *Config) { c.OIDCRoles = "" },
		"oidc-client-secret-file: i": func(c *Config) { c.OIDCSecret = "x" },
	} {
		c := good()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	c = defaultConfig()
	c.Listen, c.TLSCert, c.TLSKey = "0.0.0.0:443", "c.pem", "k.pem"
	if err := c.Validate(); err != nil {
		t.Errorf("TLS for others: %v", err)
	}
}

// TestPersonSaltAfterACrash: each file that a crash can leave, and each that it
// cannot; and that nobody becomes somebody new.
func TestPersonSaltAfterACrash(t *testing.T) {
	name := filepath.Join(t.TempDir(), personSaltFile)
	if _, err := personSalt(name, true); err == nil {
		t.Error("persons are on record, and a new salt is made")
	}
	first, err := personSalt(name, false)
	if err != nil || len(first) != 32 {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, needed := range []bool{true, false} {
		if again, err := personSalt(name, needed); err != nil || !bytes.Equal(again, first) {
			t.Errorf("a whole file is not taken: %v", err)
		}
	}
	for n := range len(whole) { // torn anywhere
		if err := os.WriteFile(name, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := personSalt(name, true); err == nil || !strings.Contains(err.Error(), "backup") {
			t.Fatalf("torn after %d bytes, with persons on record: %v", n, err)
		}
		if next, err := personSalt(name, false); err != nil || bytes.Equal(next, first) {
			t.Fatalf("torn after %d bytes: %v", n, err)
		}
	}
	if err := os.WriteFile(name, []byte(strings.Repeat("letter to my aunt\n", 10)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := personSalt(name, false); err == nil {
		t.Error("a stranger's file is overwritten")
	}
}

// TestServeTLS serves by TLS with a provider: a person comes in by token, a renewed
// certificate is used without a restart, and plain HTTP gets nothing.
func TestServeTLS(t *testing.T) {
	p, dir := idp.Start(t), t.TempDir()
	cert, key := idp.Certificate(t, dir, 1, time.Now().Add(time.Hour))
	r := runPlatform(t, func(c *Config) {
		c.TLSCert, c.TLSKey, c.OIDCIssuer, c.OIDCAudience, c.OIDCRoles = cert, key, p.URL, "mbp", "desk=trader+auditor"
	})
	roots := x509.NewCertPool()
	trust := func() {
		pem, err := os.ReadFile(cert)
		if err != nil || !roots.AppendCertsFromPEM(pem) {
			t.Fatal(err)
		}
	}
	trust()
	get := func(path, token string) (*http.Response, string) {
		t.Helper()
		client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+r.addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(b)
	}
	token := p.Token(p.Standard("mbp", "ana", time.Now(), "desk"))
	res, body := get("/v1/me", token)
	var me struct {
		Principal, Account string
		Roles              engine.Roles
	}
	if err := json.Unmarshal([]byte(body), &me); err != nil || res.StatusCode != http.StatusOK || me.Account != "acc_1" || me.Roles != engine.RoleTrader|engine.RoleAuditor {
		t.Fatalf("%d %s: %v", res.StatusCode, body, err)
	}
	for name, want := range map[string]string{
		"Strict-Transport-Security": "max-age=31536000", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	idp.Certificate(t, dir, 2, time.Now().Add(time.Hour))
	trust()
	waitFor(t, "the renewed certificate", func() bool {
		res, _ := get("/healthz", "")
		return res.TLS.PeerCertificates[0].SerialNumber.Int64() == 2
	})
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+token+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(conn); strings.Contains(string(b), me.Principal) || !strings.Contains(string(b), "400") {
		t.Errorf("plain HTTP gets %q", b)
	}
	// The same person after a restart has the same account.
	salt, err := personSalt(filepath.Join(r.dir, personSaltFile), persons(r.seq))
	if err != nil || len(salt) != 32 || !persons(r.seq) {
		t.Errorf("the salt: %v", err)
	}
}
