package crashtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/smithy-go"
)

// A certainty is what a client knows of something that it asked for.
type certainty int

const (
	notAsked certainty = iota
	maybe              // no answer
	sure               // acknowledged
)

// A life is a store that is made and deleted while the server is killed.
type life struct {
	document      string // that it is imported from; "" for an empty one
	made, deleted certainty
}

// lives are all of them by name. Only one goroutine uses it at a time.
type lives struct {
	documents map[string]map[string]string
	stores    map[string]*life
	count     int
	imported  int // stores that were seen READY after an import
	resumed   int // of them, those that a start found unfinished
}

// newLives writes the documents that stores are imported from.
func newLives(p place) (*lives, error) {
	l := &lives{documents: map[string]map[string]string{"": {}}, stores: map[string]*life{}}
	for name, size := range map[string]int{"small": 3, "large": 3000} {
		items, lines := map[string]string{}, []string{}
		for n := range size {
			key, value := fmt.Sprintf("key%d", n), strings.Repeat(fmt.Sprint(n, " "), 100)[:200]
			items[key] = value
			lines = append(lines, fmt.Sprintf(`{"key":%q,"value":%q}`, key, value))
		}
		text := `{"data":[` + strings.Join(lines, ",") + `]}`
		if err := os.WriteFile(filepath.Join(p.imports, "bucket", name), []byte(text), 0o600); err != nil {
			return nil, err
		}
		l.documents[name] = items
	}
	return l, nil
}

// refused reports whether the server has answered that it did not do it.
func refused(err error) bool {
	var e smithy.APIError
	return errors.As(err, &e) && e.ErrorFault() != smithy.FaultServer && e.ErrorCode() != "ServiceUnavailable"
}

// step makes a store or deletes one. It returns false when the server does not
// answer.
func (l *lives) step(c *caller, dice *rand.Rand) bool {
	ctx, control := context.Background(), c.control()
	if name, ok := l.pick(dice); ok && dice.IntN(12) < len(l.stores) {
		d, err := control.DescribeKeyValueStore(ctx, &cloudfront.DescribeKeyValueStoreInput{Name: &name})
		if err != nil {
			return refused(err)
		}
		l.stores[name].deleted = maybe
		_, err = control.DeleteKeyValueStore(ctx, &cloudfront.DeleteKeyValueStoreInput{Name: &name, IfMatch: d.ETag})
		switch {
		case err == nil:
			l.stores[name].deleted = sure
		case refused(err): // an import has ended and moved the ETag
			l.stores[name].deleted = notAsked
		default:
			return false
		}
		return true
	}
	l.count++
	name := fmt.Sprintf("life-%d", l.count)
	made := &life{document: []string{"", "small", "large"}[dice.IntN(3)], made: maybe}
	l.stores[name] = made
	in := &cloudfront.CreateKeyValueStoreInput{Name: &name}
	if made.document != "" {
		arn := "arn:aws:s3:::bucket/" + made.document
		in.ImportSource = &types.ImportSource{SourceType: types.ImportSourceTypeS3, SourceARN: &arn}
	}
	_, err := control.CreateKeyValueStore(ctx, in)
	switch {
	case err == nil:
		made.made = sure
	case refused(err): // never to be expected: the check will say so
		made.made, made.document = sure, "refused: "+err.Error()
	default:
		return false
	}
	return true
}

// pick returns a store that should be there.
func (l *lives) pick(dice *rand.Rand) (string, bool) {
	var names []string
	for n := range l.count {
		name := fmt.Sprintf("life-%d", n+1)
		if s := l.stores[name]; s != nil && s.made == sure && s.deleted == notAsked {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "", false
	}
	return names[dice.IntN(len(names))], true
}

// check compares the stores that are there with those that may be, waits for
// their imports and reads them. Afterwards nothing is uncertain.
func (l *lives) check(c *caller, others map[string]bool) error {
	control := c.control()
	there := map[string]string{} // ARNs by name
	pages := cloudfront.NewListKeyValueStoresPaginator(control, &cloudfront.ListKeyValueStoresInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			return err
		}
		for _, s := range page.KeyValueStoreList.Items {
			there[*s.Name] = *s.ARN
		}
	}
	for name := range there {
		if l.stores[name] == nil && !others[name] {
			return fmt.Errorf("store %s is there, and nobody has made it", name)
		}
	}
	for name, s := range l.stores {
		arn, exists := there[name]
		switch {
		case exists && s.deleted == sure:
			return fmt.Errorf("store %s is there, after its deletion was acknowledged", name)
		case !exists && s.made == sure && s.deleted == notAsked:
			return fmt.Errorf("store %s is not there, after its making was acknowledged", name)
		case !exists:
			delete(l.stores, name)
			continue
		}
		if err := l.whole(c, control, name, arn, s.document); err != nil {
			return err
		}
		s.made, s.deleted = sure, notAsked
	}
	return nil
}

// whole waits until a store is READY and checks that it holds its document,
// all of it.
func (l *lives) whole(c *caller, control *cloudfront.Client, name, arn, document string) error {
	resumed := false
	for status := ""; status != "READY"; {
		d, err := control.DescribeKeyValueStore(context.Background(), &cloudfront.DescribeKeyValueStoreInput{Name: &name})
		if err != nil {
			return fmt.Errorf("describe %s: %w", name, err)
		}
		if status = *d.KeyValueStore.Status; status != "READY" && status != "PROVISIONING" {
			return fmt.Errorf("store %s, import of %s: %s", name, document, status)
		}
		resumed = resumed || status == "PROVISIONING"
	}
	want, ok := l.documents[document]
	if !ok {
		return fmt.Errorf("store %s: %s", name, document)
	}
	found, err := c.contents(arn)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if s := (state{content: want}).counts(); found.items != s.items || found.sizeBytes != s.sizeBytes || !maps.Equal(found.content, want) {
		return fmt.Errorf("store %s, import of %q: it has %d items and says %d of %d bytes, want %d of %d bytes: %.200s",
			name, document, len(found.content), found.items, found.sizeBytes, s.items, s.sizeBytes, difference(want, found.content))
	}
	if document != "" {
		l.imported++
	}
	if resumed {
		l.resumed++
	}
	return nil
}
