package kvsapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/dataplane"
)

// An answer is a response under construction. Bodies are appended by hand, in
// alphabetical order of members as AWS's examples have them: the path of a
// GetKey uses no reflection, and one buffer makes one write with a length.
type answer struct {
	status    int
	etag      string // "" sends none
	errorName string // "" for a success
	body      []byte
}

// write sends the answer. Header names are spelled as AWS spells them, which
// http.Header.Set would not.
func (a *answer) write(w http.ResponseWriter, requestID string) {
	header := w.Header()
	values := [...]string{jsonType, strconv.Itoa(len(a.body)), requestID, a.etag, a.errorName}
	header["Content-Type"] = values[0:1:1]
	header["Content-Length"] = values[1:2:2]
	header["x-amzn-RequestId"] = values[2:3:3]
	if a.etag != "" {
		header["ETag"] = values[3:4:4]
	}
	if a.errorName != "" {
		header["x-amzn-ErrorType"] = values[4:5:5]
	}
	w.WriteHeader(a.status)
	// A client that has gone is nobody's failure.
	_, _ = w.Write(a.body)
}

// fail replaces the answer by an error.
func (a *answer) fail(row errorRow, err error) {
	a.status, a.errorName, a.etag = row.status, row.name, ""
	text := row.text
	if text == "" {
		text = popkv.Message(err)
	}
	if row.framework {
		a.body = append(a.body[:0], `{"message":`...)
	} else {
		a.body = append(a.body[:0], `{"Message":`...)
	}
	// A message is ours; should it hold bad UTF-8, it is replaced.
	a.body, _ = jsontext.AppendQuote(a.body, text)
	a.body = append(a.body, '}')
}

func (a *answer) description(d *dataplane.Description) error {
	a.etag = d.ETag
	a.body = append(a.body, `{"Created":`...)
	a.body = appendTime(a.body, d.Created)
	if d.FailureReason != "" {
		a.body = append(a.body, `,"FailureReason":`...)
		if err := a.text(d.FailureReason); err != nil {
			return err
		}
	}
	a.body = append(a.body, `,"ItemCount":`...)
	a.body = strconv.AppendInt(a.body, int64(d.ItemCount), 10)
	a.body = append(a.body, `,"KvsARN":`...)
	if err := a.text(d.ARN.String()); err != nil {
		return err
	}
	a.body = append(a.body, `,"LastModified":`...)
	a.body = appendTime(a.body, d.LastModified)
	a.body = append(a.body, `,"Status":`...)
	if err := a.text(string(d.Status)); err != nil {
		return err
	}
	a.size(d.SizeBytes)
	a.body = append(a.body, '}')
	return nil
}

func (a *answer) found(key string, f *dataplane.Found) error {
	a.body = append(a.body, `{"ItemCount":`...)
	a.body = strconv.AppendInt(a.body, int64(f.ItemCount), 10)
	a.body = append(a.body, `,"Key":`...)
	if err := a.text(key); err != nil {
		return err
	}
	a.size(f.SizeBytes)
	a.body = append(a.body, `,"Value":`...)
	var err error
	if a.body, err = jsontext.AppendQuote(a.body, f.Value); err != nil {
		return notText(err)
	}
	a.body = append(a.body, '}')
	return nil
}

func (a *answer) page(p *dataplane.Page) error {
	a.body = append(a.body, `{"Items":[`...)
	for i := range p.Items {
		if i > 0 {
			a.body = append(a.body, ',')
		}
		a.body = append(a.body, `{"Key":`...)
		if err := a.text(p.Items[i].Key); err != nil {
			return err
		}
		a.body = append(a.body, `,"Value":`...)
		if err := a.text(p.Items[i].Value); err != nil {
			return err
		}
		a.body = append(a.body, '}')
	}
	a.body = append(a.body, ']')
	if p.NextToken != "" {
		a.body = append(a.body, `,"NextToken":`...)
		if err := a.text(p.NextToken); err != nil {
			return err
		}
	}
	a.body = append(a.body, '}')
	return nil
}

func (a *answer) outcome(o *dataplane.Outcome) {
	a.etag = o.ETag
	a.body = append(a.body, `{"ItemCount":`...)
	a.body = strconv.AppendInt(a.body, int64(o.ItemCount), 10)
	a.size(o.SizeBytes)
	a.body = append(a.body, '}')
}

func (a *answer) size(n int64) {
	a.body = append(a.body, `,"TotalSizeInBytes":`...)
	a.body = strconv.AppendInt(a.body, n, 10)
}

// text appends a JSON string.
func (a *answer) text(s string) (err error) {
	if a.body, err = jsontext.AppendQuote(a.body, s); err != nil {
		return notText(err)
	}
	return nil
}

// notText is a stored string that is not UTF-8, which no write lets in: better
// no answer than an altered one.
func notText(err error) error {
	return popkv.Wrap(popkv.Internal, err, "a stored item is not valid UTF-8")
}

// appendTime writes a timestamp as Unix seconds with three decimals
// (documented: a number; observed: milliseconds).
func appendTime(b []byte, t time.Time) []byte {
	ms := t.UnixMilli()
	if ms < 0 {
		b, ms = append(b, '-'), -ms
	}
	b = strconv.AppendInt(b, ms/1000, 10)
	ms %= 1000
	return append(b, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
}
