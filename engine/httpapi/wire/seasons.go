package wire

import "github.com/mbp-market/mbp/engine"

// OpenSeason reads a season.
func OpenSeason(r *Request) engine.Command {
	return &engine.OpenSeason{Name: r.Text("name", MaxName), Start: r.Moment("start", false), End: r.Moment("end", true)}
}

// EndSeason reads nothing but the path.
func EndSeason(r *Request) engine.Command {
	x := &engine.EndSeason{}
	r.ID("season", (*Slug)(&x.Name))
	return x
}

// SetRanking reads whether an account may stand in standings.
func SetRanking(r *Request) engine.Command {
	x := &engine.SetRanking{}
	r.ID("account", &x.Account)
	if !r.Given("ranked") {
		r.Fail("ranked is missing")
	}
	x.Ranked = r.Bool("ranked")
	return x
}
