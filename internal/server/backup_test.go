package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	kvs "github.com/aws/aws-sdk-go-v2/service/cloudfrontkeyvaluestore"
	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/config"
	"github.com/popkv/popkv/internal/controlplane"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/journal/pebblejournal"
)

// A standing is where a server is with its store s and function f: the ETags
// that clients see, and the versions behind them.
type standing struct {
	arn, data, control, function           string
	dataVersion, controlVersion, fnVersion uint64
	lineage                                [16]byte
}

func standingOf(t *testing.T, s *Server) (now standing) {
	t.Helper()
	ctx := t.Context()
	control, data := clients(t, s, "test", "test")
	store, err := control.DescribeKeyValueStore(ctx, &cloudfront.DescribeKeyValueStoreInput{Name: aws.String("s")})
	if err != nil {
		t.Fatal(err)
	}
	now.arn, now.control = *store.KeyValueStore.ARN, *store.ETag
	d, err := data.DescribeKeyValueStore(ctx, &kvs.DescribeKeyValueStoreInput{KvsARN: &now.arn})
	if err != nil {
		t.Fatal(err)
	}
	f, err := control.DescribeFunction(ctx, &cloudfront.DescribeFunctionInput{Name: aws.String("f")})
	if err != nil {
		t.Fatal(err)
	}
	now.data, now.function = *d.ETag, *f.ETag

	arn, err := popkv.ParseARN(now.arn)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := arn.StoreID()
	meta, err := s.journal.Meta(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	target, err := s.control.Store(ctx, account, "s")
	if err != nil {
		t.Fatal(err)
	}
	described, err := s.control.Describe(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	if target, err = s.control.Function(ctx, account, "f"); err != nil {
		t.Fatal(err)
	}
	function, err := s.control.DescribeFunction(ctx, target, controlplane.Development)
	if err != nil {
		t.Fatal(err)
	}
	now.lineage, now.dataVersion, now.controlVersion, now.fnVersion = meta.Lineage, meta.Version, described.Version, function.Version
	if now.data != popkv.DataETag(now.dataVersion) || now.control != popkv.ControlETag(now.controlVersion) || now.function != popkv.ControlETag(now.fnVersion) {
		t.Errorf("the ETags are not those of the versions: %+v", now)
	}
	return now
}

// writer changes a store until it is stopped, and returns the last ETag that
// it was given and how many writes were acknowledged.
func writer(t *testing.T, s *Server, arn string, stop *atomic.Bool, began chan<- struct{}) (etag string, writes int) {
	_, data := clients(t, s, "test", "test")
	d, err := data.DescribeKeyValueStore(context.Background(), &kvs.DescribeKeyValueStoreInput{KvsARN: &arn})
	if err != nil {
		t.Error(err)
		return "", 0
	}
	for etag = *d.ETag; !stop.Load(); writes++ {
		put, err := data.PutKey(context.Background(), &kvs.PutKeyInput{
			KvsARN: &arn, Key: aws.String("k"), Value: aws.String(strings.Repeat("x", writes%100)), IfMatch: &etag,
		})
		if err != nil {
			t.Error(err)
			return etag, writes
		}
		etag = *put.ETag
		if writes == 10 {
			close(began)
		}
	}
	return etag, writes
}

func TestABackupMadeWhileServingIsRestoredWithETagsNeverSeen(t *testing.T) {
	dir := t.TempDir()
	original := filepath.Join(dir, "original")
	s, stop := startWith(t, onDisk(original), Options{})
	arn, _ := newStore(t, s, "s", `{"data":[{"key":"fixed","value":"1"}]}`)
	control, _ := clients(t, s, "test", "test")
	_, err := control.CreateFunction(t.Context(), &cloudfront.CreateFunctionInput{
		Name: aws.String("f"), FunctionCode: []byte("function handler(event) { return event.request; }"),
		FunctionConfig: &types.FunctionConfig{
			Comment: aws.String(""), Runtime: types.FunctionRuntimeCloudfrontJs20,
			KeyValueStoreAssociations: &types.KeyValueStoreAssociations{
				Quantity: aws.Int32(1), Items: []types.KeyValueStoreAssociation{{KeyValueStoreARN: &arn}},
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ann := accessKeyOf(t, s, `{"User":"ann"}`)
	const others = 10 // so that the backup takes a while
	for n := range others {
		newStore(t, s, fmt.Sprint("other", n), bigDocument())
	}

	var enough atomic.Bool
	began, ended := make(chan struct{}), make(chan string, 1)
	go func() {
		etag, writes := writer(t, s, arn, &enough, began)
		t.Logf("%d writes beside the backup", writes)
		ended <- etag
	}()
	<-began
	got := send(t, s, message{target: "/popkv/v1/backup", service: "popkv"})
	enough.Store(true)
	last := <-ended
	if got.status != 200 {
		t.Fatal(got)
	}
	backup := []byte(got.body)
	if m, err := journal.VerifyBackup(t.Context(), bytes.NewReader(backup)); err != nil || len(m.Stores) != 1+others {
		t.Fatalf("%+v, %v", m, err)
	}
	before := standingOf(t, s)
	if before.data != last {
		t.Errorf("the writer has seen %s, the store is at %s", last, before.data)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	restored := filepath.Join(dir, "restored")
	driver, err := pebblejournal.Open(restored, pebblejournal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = journal.RestoreTo(t.Context(), bytes.NewReader(backup), driver, journal.RestoreOptions{Raise: controlplane.Raise})
	if err := driver.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(config.SecretsKeyFileOf(original))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config.SecretsKeyFileOf(restored), key, 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ = startWith(t, onDisk(restored), Options{})
	after := standingOf(t, s)
	if after.arn != before.arn || after.lineage == before.lineage || after.dataVersion <= before.dataVersion ||
		after.controlVersion <= before.controlVersion || after.fnVersion <= before.fnVersion {
		t.Errorf("restored %+v\nwas %+v", after, before)
	}
	if got := send(t, s, message{target: "/popkv/v1/access-keys", service: "popkv", by: ann}); got.status != 403 || !strings.Contains(got.body, "AccessDenied") {
		t.Errorf("a key of the backup: %v, want it to be known", got)
	}
	if report := verifyLive(t, s); !report.OK() || report.Stores != 1+others {
		t.Errorf("verify: %+v", report)
	}
	newETag := message{
		method: "PUT", target: "/key-value-stores/" + arn + "/keys/k", body: `{"Value":"new"}`,
		header: map[string]string{"If-Match": after.data, "Content-Type": "application/json"},
	}
	if got := send(t, s, newETag); got.status != 200 {
		t.Errorf("a write: %v", got)
	}
	newETag.header = map[string]string{"If-Match": before.data, "Content-Type": "application/json"}
	if got := send(t, s, newETag); got.status != 400 {
		t.Errorf("a write with an ETag from before: %v", got)
	}
}

// bigDocument has some 600 KB of items.
func bigDocument() string {
	var b strings.Builder
	for n := range 1000 {
		fmt.Fprintf(&b, `,{"key":"key%d","value":"%s"}`, n, strings.Repeat("x", 600))
	}
	return `{"data":[` + b.String()[1:] + `]}`
}

// verifyLive asks the management API for a verification.
func verifyLive(t *testing.T, s *Server) (report journal.Report) {
	t.Helper()
	got := send(t, s, message{method: "POST", target: "/popkv/v1/verify", service: "popkv"})
	lines := strings.Split(strings.TrimSpace(got.body), "\n")
	var last struct {
		Report *journal.Report
		Error  string
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Report == nil {
		t.Fatalf("%v: %v, error %q", got, err, last.Error)
	}
	return *last.Report
}

// Verify judges the records of every package, and a bad one does not stop it.
func TestVerifyWhileServingFindsBadRecords(t *testing.T) {
	driver := memjournal.New(memjournal.Options{})
	t.Cleanup(func() { driver.Close() })
	s, _ := startWith(t, nil, Options{Driver: driver})
	newStore(t, s, "s", `{"data":[{"key":"k","value":"v"}]}`)
	accessKeyOf(t, s, `{"User":"ann"}`)
	if report := verifyLive(t, s); !report.OK() || report.Stores != 1 || report.Items != 1 {
		t.Fatalf("sound data: %+v", report)
	}
	err := s.journal.Catalog(t.Context(), func(tx *journal.Tx) error {
		tx.Put(journal.NameKey(account, "lost"), []byte(`{"store":"00000000-0000-0000-0000-000000000000"}`))
		tx.Put(journal.PolicyKey(account, "ann", "p"), []byte("{"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range verifyLive(t, s).Findings {
		found = append(found, f.Record)
	}
	if diff := cmp.Diff([]string{"n/" + account + "/lost", "p/" + account + "/ann/p"}, found); diff != "" {
		t.Error(diff)
	}
	if got := send(t, s, message{target: "/popkv/v1/access-keys", service: "popkv"}); got.status != 200 {
		t.Errorf("the server goes on: %v", got)
	}
}

// A checkedDriver has an engine that says what a test wants.
type checkedDriver struct {
	*memjournal.Driver
	says error
}

func (d *checkedDriver) Check(context.Context) (pebblejournal.Report, error) {
	return pebblejournal.Report{}, d.says
}

// What only kept the engine from being checked is not damage.
func TestVerifyTellsTheEnginesDamageFromItsTroubles(t *testing.T) {
	driver := &checkedDriver{Driver: memjournal.New(memjournal.Options{})}
	t.Cleanup(func() { driver.Close() })
	s, _ := startWith(t, nil, Options{Driver: driver})
	if report := verifyLive(t, s); !report.OK() {
		t.Errorf("a sound engine: %+v", report)
	}
	driver.says = fmt.Errorf("%w: 000007.sst: bad checksum", pebblejournal.ErrDamaged)
	if report := verifyLive(t, s); len(report.Findings) != 1 || !strings.Contains(report.Findings[0].Problem, "000007.sst") {
		t.Errorf("a damaged engine: %+v", report)
	}
	driver.says = errors.New("no space left on device")
	if got := send(t, s, message{method: "POST", target: "/popkv/v1/verify", service: "popkv"}); !strings.Contains(got.body, `"Error":"verify could not go on`) {
		t.Errorf("an engine that cannot be checked: %v", got)
	}
}

// accessKeyOf makes an access key through the management API.
func accessKeyOf(t *testing.T, s *Server, body string) access.Credentials {
	t.Helper()
	got := send(t, s, message{method: "POST", target: "/popkv/v1/access-keys", service: "popkv", body: body})
	var key struct {
		AccessKeyID                   string `json:"AccessKeyId"`
		SecretAccessKey, SessionToken string
	}
	if err := json.Unmarshal([]byte(got.body), &key); err != nil || got.status != 200 {
		t.Fatalf("%v: %v", got, err)
	}
	return access.Credentials{
		AccessKeyID: key.AccessKeyID, Secret: popkv.NewSecret(key.SecretAccessKey), SessionToken: popkv.NewSecret(key.SessionToken),
	}
}
