package compat

import (
	"testing"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
)

func TestCallerIdentity(t *testing.T) {
	s := startServer(t)
	user := s.newKey(t, access.KeyRequest{User: "reader"})
	t.Run("root", func(t *testing.T) {
		eachClient(t, s, s.root, func(t *testing.T, c client) {
			identity := mustCall(t, c, sts, "GetCallerIdentity", nil)
			expect(t, "GetCallerIdentity", identity, map[string]any{
				"Account": account, "Arn": "arn:aws:iam::" + account + ":root", "UserId": account,
			})
		})
	})
	t.Run("user", func(t *testing.T) {
		eachClient(t, s, user, func(t *testing.T, c client) {
			identity := mustCall(t, c, sts, "GetCallerIdentity", nil)
			expect(t, "GetCallerIdentity", identity, map[string]any{"Account": account, "Arn": "arn:aws:iam::" + account + ":user/reader"})
		})
	})
}

// useStore makes a store, writes and reads it.
func useStore(t *testing.T, c client) {
	t.Helper()
	arn, _ := oneItem(t, c, storeName(t, ""))
	got := mustCall(t, c, dataPlane, "GetKey", map[string]any{"KvsARN": arn, "Key": "k"})
	expect(t, "GetKey", got, map[string]any{"Value": "v"})
}

func TestTemporaryCredentials(t *testing.T) {
	s := startServer(t)
	key := s.newKey(t, access.KeyRequest{User: popkv.RootUser, Life: time.Hour})
	t.Run("with the session token", func(t *testing.T) { eachClient(t, s, key, useStore) })

	arn, _ := oneItem(t, newGoSDK(t, s.target(s.root)), "closed")
	for name, token := range map[string]string{"without it": "", "with another": key.Token + "x"} {
		t.Run(name, func(t *testing.T) {
			key := key
			key.Token = token
			eachClient(t, s, key, func(t *testing.T, c client) {
				wantException(t, c, dataPlane, "DescribeKeyValueStore", "AccessDeniedException", 403, map[string]any{"KvsARN": arn})
			})
		})
	}
}

// A key of which the server holds the public half signs with SigV4A alone: the
// data plane, for the clients that speak it.
func TestKeyStoredAsPublicKey(t *testing.T) {
	s := startServer(t)
	key := s.newKey(t, access.KeyRequest{User: popkv.RootUser, PublicKeyOnly: true})
	arn, _ := oneItem(t, newGoSDK(t, s.target(s.root)), "public")
	eachClient(t, s, key, func(t *testing.T, c client) {
		read := map[string]any{"KvsARN": arn, "Key": "k"}
		if c, ok := c.(scripted); ok && c.to.Plain {
			wantException(t, c, dataPlane, "GetKey", "AccessDeniedException", 403, read)
			return
		}
		expect(t, "GetKey", mustCall(t, c, dataPlane, "GetKey", read), map[string]any{"Value": "v"})
		// The control plane is called with SigV4, for which the secret is needed.
		a := c.call(t, controlPlane, "ListKeyValueStores", nil)
		if a.Error == nil || a.Error.Code != "SignatureDoesNotMatch" {
			t.Errorf("ListKeyValueStores: %+v, want SignatureDoesNotMatch", a.Error)
		}
	})
}

// A user who may only read gets every read and no write, on both planes.
func TestPolicyThatAllowsReading(t *testing.T) {
	s := startServer(t)
	reader := s.newKey(t, access.KeyRequest{User: "reader"})
	root := newGoSDK(t, s.target(s.root))
	arn, etag := oneItem(t, root, "guarded")
	oneItem(t, root, "other")
	other := storeARN(t, root, "other")
	document := `{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Action": ["cloudfront-keyvaluestore:Describe*", "cloudfront-keyvaluestore:GetKey", "cloudfront-keyvaluestore:ListKeys"], "Resource": "` + arn + `"},
		{"Effect": "Allow", "Action": ["cloudfront:Describe*", "cloudfront:List*"], "Resource": "*"}]}`
	if err := s.running.Directory().PutPolicy(t.Context(), account, "reader", "read", []byte(document)); err != nil {
		t.Fatal(err)
	}
	eachClient(t, s, reader, func(t *testing.T, c client) {
		for _, operation := range []string{"DescribeKeyValueStore", "GetKey", "ListKeys"} {
			mustCall(t, c, dataPlane, operation, request(operation, arn, etag))
			wantException(t, c, dataPlane, operation, "AccessDeniedException", 403, request(operation, other, etag))
		}
		for _, operation := range []string{"PutKey", "DeleteKey", "UpdateKeys"} {
			wantException(t, c, dataPlane, operation, "AccessDeniedException", 403, request(operation, arn, etag))
		}
		described := mustCall(t, c, controlPlane, "DescribeKeyValueStore", map[string]any{"Name": "guarded"})
		mustCall(t, c, controlPlane, "ListKeyValueStores", nil)
		wantException(t, c, controlPlane, "CreateKeyValueStore", "AccessDenied", 403, map[string]any{"Name": "new"})
		wantException(t, c, controlPlane, "UpdateKeyValueStore", "AccessDenied", 403, map[string]any{"Name": "guarded", "Comment": "c", "IfMatch": described["ETag"]})
		wantException(t, c, controlPlane, "DeleteKeyValueStore", "AccessDenied", 403, map[string]any{"Name": "guarded", "IfMatch": described["ETag"]})
	})
	after := mustCall(t, root, dataPlane, "DescribeKeyValueStore", map[string]any{"KvsARN": arn})
	expect(t, "DescribeKeyValueStore", after, map[string]any{"ETag": etag})
}
