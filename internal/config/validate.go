package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/popkv/popkv"
)

// Validate checks that the settings fit together. It returns every problem it
// finds, joined; each says which setting to change.
func (c *Config) Validate() error {
	return errors.Join(
		c.validateAccount(),
		c.validateRoot(),
		c.validateStorage(),
		c.validateImport(),
		c.validateTLS(),
		c.validatePublicHosts(),
	)
}

func (c *Config) validateAccount() error {
	if c.AccountID == "" {
		return errors.New("no account: set POPKV_ACCOUNT_ID (or --account-id, or account_id in the file) to the 12 digits of your account")
	}
	if !popkv.IsAccount(c.AccountID) {
		return fmt.Errorf("account_id %q is not 12 digits", c.AccountID)
	}
	return nil
}

func (c *Config) validateRoot() error {
	id, secret := c.RootAccessKeyID, c.RootSecretAccessKey
	switch {
	case id == "" && secret.IsEmpty():
		return nil
	case id == "" || secret.IsEmpty():
		return errors.New("root.access_key_id and root.secret_access_key go together: give both or neither")
	case !Loopback(c.Listen) && secret.IsWeak():
		return fmt.Errorf("the root secret is a sample or too easy to guess for %s, which other machines can reach: "+
			"set POPKV_ROOT_ACCESS_KEY_ID and POPKV_ROOT_SECRET_ACCESS_KEY to a random secret of %d characters or more "+
			"(`openssl rand -hex 20` makes one), or listen on localhost", c.Listen, popkv.MinSecretBytes)
	}
	return nil
}

// Loopback reports whether only this machine can reach a listen address: its
// host is localhost or a loopback address. An empty host is every address.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (c *Config) validateStorage() error {
	if c.DataDir == "" && !c.InMemory {
		return errors.New("data_dir is empty: name a directory, or set in_memory")
	}
	return nil
}

func (c *Config) validateImport() error {
	if c.S3.Endpoint != "" && c.ImportDir != "" {
		return errors.New("s3.endpoint and import_dir are both set: imports come from one of them, unset the other")
	}
	if (c.S3.AccessKeyID == "") != c.S3.SecretAccessKey.IsEmpty() {
		return errors.New("s3.access_key_id and s3.secret_access_key go together: give both or neither")
	}
	if c.S3.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(c.S3.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return fmt.Errorf("s3.endpoint %q is not a URL such as https://s3.example.com:9000", c.S3.Endpoint)
	}
	return nil
}

func (c *Config) validateTLS() error {
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		return errors.New("tls.cert_file and tls.key_file go together: give both or neither")
	}
	return nil
}

func (c *Config) validatePublicHosts() error {
	for _, host := range c.PublicHosts {
		if strings.ContainsAny(host, ":/ @*") {
			return fmt.Errorf("public_hosts: %q is not a host name; leave out scheme, port and wildcards", host)
		}
	}
	return nil
}
