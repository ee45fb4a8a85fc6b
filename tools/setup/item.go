package main

// item is one line of the environment inventory.
type item struct {
	Group    string `json:"group"`
	Name     string `json:"name"`
	Version  string `json:"version"`
	SHA256   string `json:"sha256,omitempty"` // of the file that runs, where there is one
	Source   string `json:"source"`           // module@version h1:sum, lock file, or path
	LockHash string `json:"lock_hash,omitempty"`
}
