package tus

// clean takes the secrets out of what a server said.
func (r *request) clean(text string) string { return r.secrets.Clean(text) }

// redact hides the text of an error that repeats a secret.
func (r *request) redact(err error) error { return r.secrets.Redact(err) }
