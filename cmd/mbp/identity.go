package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/mbp-market/mbp/cmd/mbp/machine"
	"github.com/mbp-market/mbp/cmd/mbp/privacy"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi"
	"github.com/mbp-market/mbp/engine/httpapi/identity"
	"github.com/mbp-market/mbp/engine/httpapi/issuer"
	"github.com/mbp-market/mbp/engine/httpapi/personal"
	"github.com/mbp-market/mbp/engine/httpapi/signin"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
	"github.com/mbp-market/mbp/engine/texts"
	"github.com/mbp-market/mbp/engine/texts/postgres"
)

// groupRoles reads what each group of the provider may do: group=role+role; and so
// on. A group's name may hold commas and equals signs, as those of directories do.
func groupRoles(text string) (map[string]engine.Roles, error) {
	out := map[string]engine.Roles{}
	for part := range strings.SplitSeq(text, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		at := strings.LastIndex(part, "=")
		if at < 1 {
			return nil, fmt.Errorf("%q is not group=role+role", part)
		}
		group := part[:at]
		roles, err := engine.ParseRoles(strings.Split(part[at+1:], "+"))
		if err != nil {
			return nil, fmt.Errorf("group %q: %w", group, err)
		}
		if out[group] != 0 {
			return nil, fmt.Errorf("group %q is there twice", group)
		}
		out[group] = roles
	}
	return out, nil
}

// secure reports whether browsers reach this server by HTTPS alone.
func (c *Config) secure() bool { return c.TLSCert != "" || strings.HasPrefix(c.PublicURL, "https://") }

// provider returns the identity provider, nil if there is none.
func (c *Config) provider() (*issuer.Issuer, error) {
	if c.OIDCIssuer == "" {
		return nil, nil
	}
	x := issuer.Config{URL: c.OIDCIssuer, Audience: c.OIDCAudience, GroupsClaim: c.OIDCGroups, ClientID: c.OIDCClient}
	if c.OIDCClient != "" {
		x.Callback = strings.TrimSuffix(c.PublicURL, "/") + signin.PathCallback
	}
	if c.OIDCSecret != "" {
		b, err := machine.ReadOwn(c.OIDCSecret)
		if err != nil {
			return nil, fmt.Errorf("read the secret of the OIDC client: %w", err)
		}
		x.ClientSecret = strings.TrimSpace(string(b))
	}
	return issuer.New(x)
}

// identityFaults calls fault with what is wrong with the settings of this file.
func (c *Config) identityFaults(fault func(bad bool, format string, args ...any)) {
	fault((c.TLSCert == "") != (c.TLSKey == ""), "tls-cert and tls-key go together")
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		fault(err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "",
			"public-url: %q is not https://host[:port]", c.PublicURL)
	}
	if c.OIDCIssuer == "" {
		fault(c.OIDCAudience+c.OIDCRoles+c.OIDCClient+c.OIDCSecret != "", "oidc-issuer: the other settings of the provider need it")
		return
	}
	roles, err := groupRoles(c.OIDCRoles)
	fault(err != nil, "oidc-roles: %v", err)
	fault(err == nil && len(roles) == 0, "oidc-roles: without it nobody comes in by the provider")
	fault(c.OIDCClient != "" && c.PublicURL == "", "public-url: the provider sends browsers back there, so oidc-client-id needs it")
	fault(c.OIDCSecret != "" && c.OIDCClient == "", "oidc-client-secret-file: it is the secret of an oidc-client-id")
	if c.OIDCClient == "" || c.PublicURL != "" {
		x := *c
		x.OIDCSecret = "" // it is read when it is needed
		_, err = x.provider()
		fault(err != nil, "oidc-issuer: %v", err)
	}
}

// textStore is the store that can forget.
type textStore interface {
	personal.Texts
	identity.Persons
	io.Closer
}

// openTexts opens the store where the journal is: servers that share one share it.
func (c *Config) openTexts() (textStore, error) {
	if c.Journal != "" {
		return postgres.Open(context.Background(), string(c.Journal))
	}
	return texts.Open(file.OS{}, filepath.Join(c.Data, texts.Folder))
}

// identity is who gets in but by API key.
func (p *platform) identity() (httpapi.Identity, error) {
	out := httpapi.Identity{Secure: p.cfg.secure()}
	out.Persons = p.texts
	var err error
	if out.Issuer, err = p.cfg.provider(); err != nil || out.Issuer == nil {
		return out, err
	}
	if out.Groups, err = groupRoles(p.cfg.OIDCRoles); err != nil {
		return out, err
	}
	if out.Before, err = saltBefore(p.cfg.Data); err != nil {
		return out, err
	}
	if out.Before != nil {
		p.log.Warn("persons are carried over to another salt as they come; `mbp privacy persons --before` lists who has not come", "destroy_then", machine.Before(personSaltFile))
	}
	// Servers that share a journal share the salt; none of them makes one.
	out.Salt, err = personSalt(filepath.Join(p.cfg.Data, personSaltFile), p.cfg.Journal != "" || persons(p.seq))
	return out, err
}

// saltBefore reads the salt of before, while it is being replaced; nil: it is not.
func saltBefore(data string) ([]byte, error) {
	name := filepath.Join(data, machine.Before(personSaltFile))
	if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return machine.Secret(name, false)
}

// personSaltFile holds the secret under which persons are on record.
const personSaltFile = privacy.SaltFile

// persons reports whether there is a person on record.
func persons(q *sequencer.Sequencer) (any bool) {
	q.View(func(s *core.State) {
		for after, more := 0, true; more && !any; more = after != 0 {
			var keys []engine.Key
			keys, after = s.Keys(after, 1000)
			for _, k := range keys {
				any = any || k.Identity
			}
		}
	})
	return any
}

// personSalt makes the file of the salt, or takes the one that is there. Where a
// person is on record it has to be there: with another one everybody would be
// somebody new, and nobody would find their account again.
func personSalt(name string, needed bool) ([]byte, error) {
	salt, err := machine.Secret(name, !needed)
	if errors.Is(err, machine.ErrNoSecret) {
		err = fmt.Errorf("%w, and persons are on record under it, or servers share it: restore it from the backup, or copy it from the other server", err)
	}
	return salt, err
}
