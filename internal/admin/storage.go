package admin

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/popkv/popkv/internal/journal"
)

// progress is one line of a verify's answer; the last line has the report or
// the error instead.
type progress struct {
	Done   int             `json:"Done"`
	Total  int             `json:"Total"`
	Report *journal.Report `json:"Report,omitempty"`
	Error  string          `json:"Error,omitempty"`
}

// A long answer is written piece by piece: its deadline moves with each piece,
// so that a slow reader is cut off and a long answer is not.
const pieceTimeout = 30 * time.Second

type pieces struct {
	http.ResponseWriter
	control *http.ResponseController
}

func newPieces(w http.ResponseWriter) pieces {
	return pieces{w, http.NewResponseController(w)}
}

// Write writes one piece under its own deadline.
func (p pieces) Write(b []byte) (int, error) {
	p.control.SetWriteDeadline(time.Now().Add(pieceTimeout)) // unsupported by test recorders only
	return p.ResponseWriter.Write(b)
}

func (p pieces) line(v any) {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return
	}
	p.Write(append(b, '\n'))
	p.control.Flush()
}

// verify streams progress as JSON lines and ends with the report.
func (h *Handler) verify(w http.ResponseWriter, c *call) (any, error) {
	w.Header().Set("Content-Type", "application/jsonl")
	out := newPieces(w)
	var last progress
	report, err := h.storage.Verify(c.Context(), journal.VerifyOptions{
		Check: h.o.Check,
		Progress: func(done, total int) {
			last = progress{Done: done, Total: total}
			out.line(last)
		},
	})
	last.Report = &report
	if err != nil {
		last.Report, last.Error = nil, "verify could not go on: see the server's log"
		c.seen.Err = err
	}
	out.line(last)
	return streamed{}, nil
}

// backup streams a backup. A failure cuts the connection: a backup is whole
// only if its last frame is there, which restore and verify check.
func (h *Handler) backup(w http.ResponseWriter, c *call) (any, error) {
	w.Header().Set("Content-Type", "application/octet-stream")
	_, err := h.storage.Backup(c.Context(), newPieces(w), journal.BackupOptions{})
	return streamed{}, err
}
