package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/mbp-market/mbp/fe"
	"github.com/mbp-market/mbp/tests/idp"
)

// TestPanelSignsInAtTheProvider goes through the code flow with a real browser.
func TestPanelSignsInAtTheProvider(t *testing.T) {
	if os.Getenv("MBP_LONG") == "" {
		t.Skip("a browser takes some seconds: MBP_LONG=1")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	chromium := filepath.Join(root, ".tools", "bin", "chromium")
	if _, err := os.Stat(chromium); err != nil {
		t.Skip("no browser; run `make tools`")
	}
	if _, err := fe.Panel(); err != nil {
		t.Skip(err)
	}
	p := idp.Start(t)
	p.Person = idp.Claims{"sub": "u-17", "groups": []string{"desk"}}
	refuse := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		p.Person = p.Person.With("sub", "u-18", "groups", []string{"others"})
	}))
	defer refuse.Close()
	r := runPlatform(t, func(c *Config) {
		c.OIDCIssuer, c.OIDCClient, c.OIDCRoles, c.PublicURL, c.RUMURL = p.URL, p.Client, "desk=trader", "http://"+c.Listen, ""
	})
	cmd := exec.CommandContext(t.Context(), "node", "tests/browser/signin.mjs")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "BASE_URL=http://"+r.addr, "REFUSE="+refuse.URL, "CHROMIUM="+chromium)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
