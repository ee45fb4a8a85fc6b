package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mbp-market/mbp/gate/plan"
)

// PlanFile is the name of the plan at the repository's root.
const PlanFile = "prega.yaml"

// Place is where the gate works.
type Place struct {
	Root string // the repository
	File string // its plan
	Plan *plan.Config
}

// Evidence is the folder that is judged and packed.
func (p Place) Evidence() string { return filepath.Join(p.Root, p.Plan.Evidence) }

// Output takes the packs.
func (p Place) Output() string { return filepath.Join(p.Root, p.Plan.Output) }

// Find reads the plan at file, or, if that is empty, prega.yaml in the folder
// from or the nearest one above it. The plan's folder is the repository's root.
func Find(from, file string) (Place, error) {
	if file == "" {
		dir, err := filepath.Abs(from)
		if err != nil {
			return Place{}, fmt.Errorf("find %s: %w", PlanFile, err)
		}
		for {
			file = filepath.Join(dir, PlanFile)
			if _, err := os.Stat(file); err == nil {
				break
			} else if !errors.Is(err, fs.ErrNotExist) {
				return Place{}, fmt.Errorf("find %s: %w", PlanFile, err)
			}
			if filepath.Dir(dir) == dir {
				return Place{}, fmt.Errorf("%w: no %s in %s or above it; run prega in the repository, or name the plan with --plan", ErrUsage, PlanFile, from)
			}
			dir = filepath.Dir(dir)
		}
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return Place{}, fmt.Errorf("find the plan: %w", err)
	}
	c, err := plan.Load(file)
	if err != nil {
		return Place{}, err
	}
	return Place{Root: filepath.Dir(file), File: file, Plan: c}, nil
}
