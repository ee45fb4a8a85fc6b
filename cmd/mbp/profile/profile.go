// Package profile keeps what a person calls a server and a key: a name for an
// address and for the file of a secret, so that no command has to repeat them.
//
// It promises that the file of profiles holds no secret, only where one lies; that
// it is written whole or not at all; and that whoever names an address or a key
// otherwise is not given the other half of a profile, because a secret goes to the
// server that it was made for and to no other.
//
// It refuses a file that other users could have written, who would send secrets to
// a server of theirs. Where it lies follows the XDG Base Directory Specification.
package profile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/mbp-market/mbp/cmd/mbp/machine"
)

// Profile is one server and one key for it.
type Profile struct {
	URL     string `yaml:"url" json:"url"`
	KeyFile string `yaml:"key_file" json:"key_file"` // absolute path
}

// File is all profiles of a person.
type File struct {
	Use      string             `yaml:"use,omitempty" json:"use,omitempty"` // the one in use; empty for none
	Profiles map[string]Profile `yaml:"profiles" json:"profiles"`
}

const (
	// maxFile bounds the file: some hundred profiles.
	maxFile = 64 << 10
	// maxProfiles bounds what completion and the list have to show.
	maxProfiles = 256
)

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Path is where the profiles lie: MBP_PROFILES, or mbp/profiles.yaml in the folder
// for configuration of this user.
func Path() (string, error) {
	if name := os.Getenv("MBP_PROFILES"); name != "" {
		return name, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find the folder for configuration: %w; MBP_PROFILES names a file instead", err)
	}
	return filepath.Join(dir, "mbp", "profiles.yaml"), nil
}

// Load reads the profiles. No file is no profiles.
func Load() (File, error) {
	var f File
	name, err := Path()
	if err != nil {
		return f, err
	}
	b, err := machine.ReadOwnUpTo(name, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, fmt.Errorf("read the profiles: %w", err)
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return f, fmt.Errorf("%s: %w", name, err)
	}
	for known, p := range f.Profiles {
		if err := p.validate(known); err != nil {
			return f, fmt.Errorf("%s: %w", name, err)
		}
	}
	return f, nil
}

func (p Profile) validate(name string) error {
	u, err := url.Parse(p.URL)
	switch {
	case !nameForm.MatchString(name):
		return fmt.Errorf("profile %q: a name has 1..64 letters, digits, dots, dashes and underscores", name)
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("profile %s: url %q is not http://host[:port]", name, p.URL)
	case !filepath.IsAbs(p.KeyFile):
		return fmt.Errorf("profile %s: key_file %q is not an absolute path", name, p.KeyFile)
	}
	return nil
}

// Put adds or replaces a profile. The first one is in use at once.
func (f *File) Put(name string, p Profile) error {
	if err := p.validate(name); err != nil {
		return err
	}
	if f.Profiles == nil {
		f.Profiles = map[string]Profile{}
	}
	if _, known := f.Profiles[name]; !known && len(f.Profiles) >= maxProfiles {
		return fmt.Errorf("there are %d profiles already", maxProfiles)
	}
	f.Profiles[name] = p
	f.Use = cmp.Or(f.Use, name)
	return nil
}

// Find returns a profile by its name.
func (f *File) Find(name string) (Profile, error) {
	p, known := f.Profiles[name]
	if !known {
		return p, fmt.Errorf("there is no profile %q; see `mbp profile list`", name)
	}
	return p, nil
}

// Names lists the profiles in order.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.Profiles)) }

// Save writes the profiles for their owner alone.
//
// The crash story: the new file is durable under another name before it takes the
// place of the old one; a crash in between leaves the old one, and a file beside it
// that the next save replaces.
func (f *File) Save() error {
	name, err := Path()
	if err != nil {
		return err
	}
	b, err := yaml.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode the profiles: %w", err)
	}
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	next := name + ".next"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := machine.WriteOwn(next, b); err != nil {
		return fmt.Errorf("write the profiles: %w", err)
	}
	return os.Rename(next, name)
}
