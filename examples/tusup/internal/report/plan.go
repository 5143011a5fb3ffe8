package report

// Planned is a file that a dry run would upload.
type Planned struct {
	Name
	Size     *int64            `json:"size" jsonschema:"oneof_type=integer;null" jsonschema_description:"Size in bytes; null if unknown."`
	Metadata map[string]string `json:"metadata"`
	Resumes  bool              `json:"resumes" jsonschema_description:"The upload would resume an unfinished one."`
}

// Plan is the last object of a dry run.
type Plan struct {
	Plan PlanTotals `json:"plan"`
}

// PlanTotals counts the files of a dry run.
type PlanTotals struct {
	Files int   `json:"files" jsonschema_description:"Number of files."`
	Bytes int64 `json:"bytes" jsonschema_description:"Sum of the known sizes in bytes."`
}
