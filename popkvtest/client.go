package popkvtest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/popkv/popkv"
)

// HTTPClient returns a client for AWS SDKs that reaches this server and nothing
// else. It dials past the account id that every SDK puts in front of an
// endpoint's host for data-plane calls, a name that cannot be resolved.
//
// The connections are closed by Close.
func (s *Server) HTTPClient() *http.Client { return s.client }

func newClient(url string) *http.Client {
	address := strings.TrimPrefix(url, "http://")
	dialer := &net.Dialer{}
	transport := &http.Transport{
		MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, network, wanted string) (net.Conn, error) {
			if label, rest, ok := strings.Cut(wanted, "."); ok && popkv.IsAccount(label) {
				wanted = rest
			}
			if wanted != address {
				return nil, fmt.Errorf("this client is for the popkv server at %s, not for %s", url, wanted)
			}
			return dialer.DialContext(ctx, network, address)
		},
	}
	return &http.Client{Transport: transport}
}
