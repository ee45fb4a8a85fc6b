package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
)

// judgeRequests holds that every operation was tried and none failed.
func judgeRequests(out string, said error, stdout io.Writer) error {
	b, err := os.ReadFile(junit(out, requestsPart))
	if err != nil {
		return errors.Join(said, fmt.Errorf("the tool left no report: %w", err))
	}
	tried, err := judge(b)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(contract)
	if err != nil {
		return err
	}
	if want := operations(text); tried < want {
		return fmt.Errorf("%d operations were tried, the contract has %d beside the streams", tried, want)
	}
	if said != nil {
		return fmt.Errorf("%w: the tool ended with %w", errBroken, said)
	}
	fmt.Fprintf(stdout, "contract: %d operations tried, 0 failures\n", tried)
	return nil
}

// leastLinks is the part of the contract's links that has to be followed: which ones
// are in the time that there is, chance decides, and the machine.
const leastLinks = 0.7

// judgeChains holds that no chain failed or ended in an error, and that the links of
// the contract were followed.
func judgeChains(out string, said error, stdout io.Writer) error {
	b, err := os.ReadFile(junit(out, chainsPart))
	if err != nil {
		return errors.Join(said, fmt.Errorf("the tool left no report: %w", err))
	}
	if _, err := judge(b); err != nil {
		return err
	}
	f, err := os.Open(ndjson(out, chainsPart))
	if err != nil {
		return fmt.Errorf("the tool left no record: %w", err)
	}
	defer f.Close()
	c, err := readChains(f)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(contract)
	if err != nil {
		return err
	}
	want := links(text)
	fmt.Fprintf(stdout, "contract: %d chains, %d failures, %d errors, %d of %d links followed\n", c.ended, c.failed, c.errors, len(c.followed), want)
	switch {
	case c.failed+c.errors > 0:
		return fmt.Errorf("%w: %d chains failed and %d ended in an error", errBroken, c.failed, c.errors)
	case said != nil:
		return fmt.Errorf("%w: the tool ended with %w", errBroken, said)
	case float64(len(c.followed)) < leastLinks*float64(want):
		return fmt.Errorf("%d links were followed, the contract has %d", len(c.followed), want)
	}
	return nil
}

// chains is what came of the chains of requests.
type chains struct {
	ended, failed, errors int
	followed              map[string]bool // links after which there was an answer
}

// readChains reads the record of a run: one document a line.
func readChains(r io.Reader) (chains, error) {
	out := chains{followed: map[string]bool{}}
	for d := json.NewDecoder(r); ; {
		var line struct {
			ScenarioFinished *struct {
				Status   string `json:"status"`
				Recorder struct {
					Cases map[string]struct {
						Transition *struct {
							ID string `json:"id"`
						} `json:"transition"`
					} `json:"cases"`
					Interactions map[string]struct {
						Response *struct{} `json:"response"`
					} `json:"interactions"`
				} `json:"recorder"`
			}
		}
		if err := d.Decode(&line); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return out, fmt.Errorf("read the record: %w", err)
		}
		s := line.ScenarioFinished
		if s == nil {
			continue
		}
		switch s.Status {
		case "failure":
			out.failed++
		case "error":
			out.errors++
		}
		out.ended++
		for id, c := range s.Recorder.Cases {
			if c.Transition != nil && s.Recorder.Interactions[id].Response != nil {
				out.followed[c.Transition.ID] = true
			}
		}
	}
}

// judge reads the report: how many operations it has, and that none failed.
func judge(b []byte) (operations int, err error) {
	var doc struct {
		Suites []struct {
			Cases []struct {
				Name     string     `xml:"name,attr"`
				Failures []struct{} `xml:"failure"`
				Errors   []struct{} `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b, &doc); err != nil {
		return 0, fmt.Errorf("read the report: %w", err)
	}
	name := regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) /`)
	var errs []error
	for _, suite := range doc.Suites {
		for _, c := range suite.Cases {
			if name.MatchString(c.Name) {
				operations++
			}
			if n := len(c.Failures) + len(c.Errors); n > 0 {
				errs = append(errs, fmt.Errorf("%w: %s has %d failures", errBroken, c.Name, n))
			}
		}
	}
	return operations, errors.Join(errs...)
}

// operations counts what the document describes and does not end in a stream: its
// operationIds outside links stand at a depth of their own.
func operations(text []byte) int {
	return len(regexp.MustCompile(`(?m)^      operationId: `).FindAll(text, -1)) - len(regexp.MustCompile(`(?m)^  /\S*/stream:$`).FindAll(text, -1))
}

// links counts those that the document describes.
func links(text []byte) int {
	return len(regexp.MustCompile(`(?m)^            [A-Za-z]+: \{operationId: `).FindAll(text, -1))
}
