package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"

	"github.com/popkv/popkv/internal/config"
)

// makePair returns a certificate for localhost with a serial number, and its
// key, both in PEM.
func makePair(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// files are the two files of a certificate; each write has a later time.
type files struct {
	t         *testing.T
	cert, key string
	writes    int
}

func newFiles(t *testing.T) *files {
	dir := t.TempDir()
	return &files{t: t, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
}

func (f *files) write(path string, text []byte) {
	f.t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.writes++
	at := time.Now().Add(time.Duration(f.writes) * time.Second)
	if err := os.Chtimes(path, at, at); err != nil {
		f.t.Fatal(err)
	}
}

func (f *files) serial(c *certificate) int64 {
	f.t.Helper()
	pair, err := c.config().GetCertificate(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return pair.Leaf.SerialNumber.Int64()
}

func TestACertificateIsReadAgainWhenItChanges(t *testing.T) {
	f, log := newFiles(t), &journalist{}
	cert, key := makePair(t, 1)
	f.write(f.cert, cert)
	f.write(f.key, key)
	c, err := loadCertificate(f.cert, f.key, log.logger(slog.LevelInfo))
	if err != nil {
		t.Fatal(err)
	}
	c.refresh()
	if log.String() != "" {
		t.Errorf("nothing has changed, yet: %s", log)
	}
	cert, key = makePair(t, 2)
	f.write(f.cert, cert) // the key is still the old one
	c.refresh()
	c.refresh()
	if got := f.serial(c); got != 1 || strings.Count(log.String(), "cannot be used") != 1 {
		t.Errorf("half a renewal: certificate %d in use, log %s", got, log)
	}
	f.write(f.key, key)
	c.refresh()
	if got := f.serial(c); got != 2 || strings.Count(log.String(), "reloaded") != 1 {
		t.Errorf("a renewal: certificate %d in use, log %s", got, log)
	}
	if err := os.Remove(f.key); err != nil {
		t.Fatal(err)
	}
	c.refresh()
	if got := f.serial(c); got != 2 || strings.Count(log.String(), "cannot be used") != 2 {
		t.Errorf("a missing file: certificate %d in use, log %s", got, log)
	}
	old, oldKey := makePair(t, 3)
	f.writes = -100 // files from a backup are older
	f.write(f.cert, old)
	f.write(f.key, oldKey)
	c.refresh()
	if got := f.serial(c); got != 3 {
		t.Errorf("older files: certificate %d in use", got)
	}
}

func TestTheWatchOfTheCertificateLooksAndEnds(t *testing.T) {
	f := newFiles(t)
	cert, key := makePair(t, 1)
	f.write(f.cert, cert)
	f.write(f.key, key)
	synctest.Test(t, func(t *testing.T) {
		c, err := loadCertificate(f.cert, f.key, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { c.watch(ctx); close(done) }()
		cert, key := makePair(t, 2)
		f.write(f.cert, cert)
		f.write(f.key, key)
		time.Sleep(certificateCheck - 1)
		synctest.Wait()
		if got := f.serial(c); got != 1 {
			t.Errorf("before it looks: %d", got)
		}
		time.Sleep(1)
		synctest.Wait()
		if got := f.serial(c); got != 2 {
			t.Errorf("after it has looked: %d", got)
		}
		cancel()
		<-done
	})
}

func TestServingOverTLS(t *testing.T) {
	f := newFiles(t)
	cert, key := makePair(t, 7)
	f.write(f.cert, cert)
	f.write(f.key, key)
	s := start(t, func(c *config.Config) { c.TLS.CertFile, c.TLS.KeyFile = f.cert, f.key })
	if !strings.HasPrefix(s.URL(), "https://127.0.0.1:") {
		t.Errorf("URL %s", s.URL())
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	client := httpClient(t, s)
	client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	control, _ := clients(t, s, "test", "test")
	created, err := control.CreateKeyValueStore(t.Context(), &cloudfront.CreateKeyValueStoreInput{Name: aws.String("s")}, func(o *cloudfront.Options) { o.HTTPClient = client })
	if err != nil || !strings.HasPrefix(*created.Location, "https://") {
		t.Errorf("create: %v, %v", created, err)
	}
	for name, c := range map[string]*tls.Config{
		"HTTP/2":  {RootCAs: roots, NextProtos: []string{"h2"}},
		"TLS 1.1": {RootCAs: roots, MaxVersion: tls.VersionTLS11},
	} {
		if conn, err := tls.Dial("tcp", s.api[0].Addr().String(), c); err == nil {
			conn.Close()
			t.Errorf("%s is spoken", name)
		}
	}
	if got := sendRaw(t, s, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); got.status != 400 || !strings.Contains(got.body, "HTTPS") {
		t.Errorf("plain HTTP: %v", got)
	}
	if got := adminGet(t, s, "/livez"); got.status != 200 {
		t.Errorf("the admin listener: %v", got)
	}
}

func TestCertificatesThatCannotBeUsedAtTheStart(t *testing.T) {
	f := newFiles(t)
	cert, _ := makePair(t, 1)
	_, other := makePair(t, 2)
	f.write(f.cert, cert)
	f.write(f.key, other)
	for name, c := range map[string]config.TLS{
		"no key":        {CertFile: f.cert},
		"a missing key": {CertFile: f.cert, KeyFile: f.key + "x"},
		"another's key": {CertFile: f.cert, KeyFile: f.key},
	} {
		cfg := devConfig()
		cfg.TLS = c
		s, err := New(t.Context(), cfg, Options{})
		if err == nil {
			s.Close()
		}
		if err == nil || c.KeyFile != "" && !strings.Contains(err.Error(), c.KeyFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
