package crashtest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"

	"github.com/popkv/popkv/internal/sigv4"
)

// A caller calls one server. The data plane is called without an SDK, which
// would take more time than the server.
type caller struct {
	server *process
	key    *sigv4.Key
	clock  func() time.Duration // since the test began
}

// control is the SDK's client of the control plane; it never tries twice.
func (c *caller) control() *cloudfront.Client {
	return cloudfront.New(cloudfront.Options{
		Region: "us-east-1", BaseEndpoint: &c.server.url, HTTPClient: c.server.client, RetryMaxAttempts: 1,
		Credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(keyID, keySecret, "")),
	})
}

// makeStore makes an empty store and returns its ARN.
func (c *caller) makeStore(name string) (arn string, err error) {
	made, err := c.control().CreateKeyValueStore(context.Background(), &cloudfront.CreateKeyValueStoreInput{Name: &name})
	if err != nil {
		return "", err
	}
	return *made.KeyValueStore.ARN, nil
}

// An answer is what came back for a request.
type answer struct {
	status int
	etag   string
	body   []byte
}

// send signs and sends a request. An error means that there was no whole
// answer.
func (c *caller) send(service, method, target, ifMatch, body string) (answer, error) {
	signed := &sigv4.Request{Method: method, Target: target, Host: strings.TrimPrefix(c.server.url, "http://"), Header: map[string][]string{}}
	if ifMatch != "" {
		signed.Header["If-Match"] = []string{ifMatch}
	}
	if body != "" {
		signed.Header["Content-Type"] = []string{"application/json"}
	}
	signer := sigv4.Signer{Key: c.key, Algorithm: sigv4.SigV4, Service: service, Region: "us-east-1"}
	if err := signer.Sign(signed, sha256.Sum256([]byte(body)), time.Now()); err != nil {
		return answer{}, err
	}
	r, err := http.NewRequestWithContext(context.Background(), method, c.server.url+target, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header = signed.Header
	got, err := c.server.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	return answer{got.StatusCode, got.Header.Get("ETag"), text}, err
}

func (c *caller) data(method, target, ifMatch, body string) (answer, error) {
	return c.send("cloudfront-keyvaluestore", method, "/key-value-stores/"+target, ifMatch, body)
}

// sizes are the members that every answer of the data plane has.
type sizes struct {
	ItemCount        int
	TotalSizeInBytes int64
}

func (a answer) counts() (counts, error) {
	var s sizes
	err := json.Unmarshal(a.body, &s)
	return counts{a.etag, s.ItemCount, s.TotalSizeInBytes}, err
}

// describe returns a store's counts.
func (c *caller) describe(arn string) (sight, error) {
	began := c.clock()
	a, err := c.data("GET", arn, "", "")
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("describe: %d %s", a.status, a.body)
	}
	if err != nil {
		return sight{}, err
	}
	var d struct {
		ETag string
		sizes
	}
	err = json.Unmarshal(a.body, &d)
	if a.etag != "" {
		d.ETag = a.etag
	}
	return sight{counts{d.ETag, d.ItemCount, d.TotalSizeInBytes}, began, c.clock()}, err
}

// get reads a key.
func (c *caller) get(arn, key string) (get, error) {
	g := get{key: key, began: c.clock()}
	a, err := c.data("GET", arn+"/keys/"+key, "", "")
	g.ended = c.clock()
	if err != nil || a.status == http.StatusNotFound {
		return g, err
	}
	if a.status != http.StatusOK {
		return g, fmt.Errorf("get: %d %s", a.status, a.body)
	}
	var item struct{ Value string }
	if err := json.Unmarshal(a.body, &item); err != nil {
		return g, err
	}
	g.found, g.value = true, item.Value
	g.after, err = a.counts()
	return g, err
}

// contents reads a store that nobody writes to.
func (c *caller) contents(arn string) (finding, error) {
	seen, err := c.describe(arn)
	if err != nil {
		return finding{}, err
	}
	f := finding{seen.counts, map[string]string{}}
	for token := ""; ; {
		a, err := c.data("GET", arn+"/keys?MaxResults=50"+token, "", "")
		if err == nil && a.status != http.StatusOK {
			err = fmt.Errorf("list: %d %s", a.status, a.body)
		}
		if err != nil {
			return f, err
		}
		var page struct {
			Items     []struct{ Key, Value string }
			NextToken string
		}
		if err := json.Unmarshal(a.body, &page); err != nil {
			return f, err
		}
		for _, item := range page.Items {
			f.content[item.Key] = item.Value
		}
		if page.NextToken == "" {
			return f, nil
		}
		token = "&NextToken=" + url.QueryEscape(page.NextToken)
	}
}
