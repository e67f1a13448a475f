package s3import

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
)

// S3Options say how to reach an S3 endpoint.
type S3Options struct {
	Endpoint        string // http or https URL; a path is kept
	AccessKeyID     string // empty: requests are not signed
	SecretAccessKey string
	Region          string // of the signature; default us-east-1

	TLS         *tls.Config // default: the system's roots
	MaxAttempts int         // per document, before the first byte; default 3
	// Resolve returns the addresses of the endpoint's host; default: the
	// system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
}

// An S3 reads documents from one S3 endpoint, by path-style requests. That
// the endpoint was configured is the permission to contact it, be its address
// public, private or loopback; no other host is ever contacted.
type S3 struct {
	o        S3Options
	endpoint *url.URL
	port     string
}

// NewS3 checks the options; it contacts nobody.
func NewS3(o S3Options) (*S3, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errors.New("the S3 endpoint is not a URL like https://s3.example.com:9000")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the S3 endpoint is more than scheme, host, port and path")
	}
	if (o.AccessKeyID == "") != (o.SecretAccessKey == "") {
		return nil, errors.New("of the S3 access key id and the S3 secret access key only one is set")
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.MaxAttempts == 0 {
		o.MaxAttempts = 3
	}
	if o.Resolve == nil {
		o.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return &S3{o: o, endpoint: u, port: port}, nil
}

// Size implements [Source]: S3 would have to be asked.
func (s *S3) Size(Location) (int64, bool) { return 0, false }

// Open implements [Source]. The endpoint's name is resolved once per document.
func (s *S3) Open(ctx context.Context, l Location) (io.ReadCloser, int64, error) {
	addrs, err := s.o.Resolve(ctx, s.endpoint.Hostname())
	if err == nil && len(addrs) == 0 {
		err = errors.New("no address")
	}
	if err != nil {
		return nil, 0, fail(Unreadable, -1, fmt.Errorf("resolve the S3 endpoint: %w", err))
	}
	transport := s.transport(addrs)
	out, err := s.client(transport).GetObject(ctx, &s3.GetObjectInput{
		Bucket: aws.String(l.Bucket),
		Key:    aws.String(l.Key),
	})
	if err != nil {
		transport.CloseIdleConnections()
		return nil, 0, fail(Unreadable, -1, err)
	}
	size := int64(-1)
	if out.ContentLength != nil {
		size = *out.ContentLength
	}
	return &body{ReadCloser: out.Body, transport: transport}, size, nil
}

func (s *S3) client(transport http.RoundTripper) *s3.Client {
	var creds aws.CredentialsProvider = aws.AnonymousCredentials{}
	if s.o.AccessKeyID != "" {
		creds = credentials.NewStaticCredentialsProvider(s.o.AccessKeyID, s.o.SecretAccessKey, "")
	}
	return s3.New(s3.Options{
		BaseEndpoint:                   aws.String(s.endpoint.String()),
		UsePathStyle:                   true,
		Region:                         s.o.Region,
		Credentials:                    creds,
		RetryMaxAttempts:               s.o.MaxAttempts,
		DisableMultiRegionAccessPoints: true,
		DisableS3ExpressSessionAuth:    aws.Bool(true),
		Logger:                         logging.Nop{},
		HTTPClient: &http.Client{
			Transport: shortErrors{transport},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // a redirect is an answer, and no document
			},
		},
	})
}

// transport dials the given addresses of the endpoint, in turn, and refuses to
// dial for any other host.
func (s *S3) transport(addrs []netip.Addr) *http.Transport {
	host := net.JoinHostPort(s.endpoint.Hostname(), s.port)
	dialer := net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != host {
				return nil, errors.New("refused to contact a host that is not the S3 endpoint")
			}
			var errs []error
			for _, addr := range addrs {
				conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(addr.String(), s.port))
				if err == nil {
					return conn, nil
				}
				errs = append(errs, err)
			}
			return nil, errors.Join(errs...)
		},
		TLSClientConfig:        s.o.TLS,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // the document is what was stored, byte for byte
	}
}

// shortErrors bounds the bodies of answers that are no document, which the
// SDK would read to their end.
type shortErrors struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (s shortErrors) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(r)
	if err == nil && resp.StatusCode/100 != 2 {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, 64<<10), resp.Body}
	}
	return resp, err
}

// A body closes its connections with it.
type body struct {
	io.ReadCloser
	transport *http.Transport
}

// Close implements [io.Closer].
func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.transport.CloseIdleConnections()
	return err
}
