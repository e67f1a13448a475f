package cfjs

import (
	"encoding/json"
	"io"
)

// A Level says what a diagnostic means.
type Level string

const (
	// LevelError: it fails on CloudFront, when the code is loaded or when the
	// line runs.
	LevelError Level = "error"
	// LevelWarning: documented as unsupported, but the engine takes it; or
	// allowed and hardly meant.
	LevelWarning Level = "warning"
)

// A Diagnostic is one finding of [Lint]. Line and Column count from 1; columns
// count characters.
type Diagnostic struct {
	Rule    string `json:"rule"`
	Level   Level  `json:"level"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"` // in the real engine's words where it has any
	Instead string `json:"instead"` // what to write instead
}

// A FileDiagnostics is what [Lint] found in one file, for the encoders.
type FileDiagnostics struct {
	File        string       `json:"file"`
	Diagnostics []Diagnostic `json:"diagnostics"`
}

// EncodeJSON writes the findings as one JSON array with an object per file.
func EncodeJSON(w io.Writer, files []FileDiagnostics) error {
	for i := range files {
		if files[i].Diagnostics == nil {
			files[i].Diagnostics = []Diagnostic{}
		}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(files)
}

// The parts of SARIF 2.1.0 that code scanning services read.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string    `json:"id"`
		ShortDescription sarifText `json:"shortDescription"`
		Help             sarifText `json:"help"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		Level     Level           `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
)

// EncodeSARIF writes the findings as a SARIF 2.1.0 log.
func EncodeSARIF(w io.Writer, files []FileDiagnostics) error {
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "popkv function lint", Rules: []sarifRule{}}}, Results: []sarifResult{}}
	for _, r := range lintRules {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{r.id, sarifText{r.title}, sarifText{r.instead}})
	}
	for _, f := range files {
		for _, d := range f.Diagnostics {
			run.Results = append(run.Results, sarifResult{
				RuleID: d.Rule, Level: d.Level, Message: sarifText{d.Message + ". " + d.Instead},
				Locations: []sarifLocation{{sarifPhysical{sarifArtifact{f.File}, sarifRegion{d.Line, d.Column}}}},
			})
		}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{
		Schema:  "https://json.schemastore.org/sarif-2.1.0.json",
		Version: "2.1.0",
		Runs:    []sarifRun{run},
	})
}
