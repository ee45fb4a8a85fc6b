package httpapi

import "net/http"

// count notes a refusal from before a decision. The engine's own rejections are on
// record one by one, and other statuses are no refusals.
func (a *API) count(w http.ResponseWriter, k kind) {
	switch k.status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		principal := ""
		if rec, is := w.(*recorder); is {
			principal = rec.principal
		}
		a.refused.Add(principal, k.code)
	}
}
