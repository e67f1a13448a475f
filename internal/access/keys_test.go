package access

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/sigv4"
)

func sha256Of(s string) [sha256.Size]byte { return sha256.Sum256([]byte(s)) }
func itoa(n int) string                   { return strconv.Itoa(n) }

// works reports how the gate judges a GetKey signed with these credentials.
func (w *world) works(by Credentials, algorithm sigv4.Algorithm) string {
	w.t.Helper()
	a, err := w.admit(w.gate(GateOptions{}), call{target: getTarget, algorithm: algorithm}, by)
	if err == nil {
		a.Release()
	}
	return kindName(err)
}

func TestAKeyWorksUntilItIsRemoved(t *testing.T) {
	w := newWorld(t)
	key := w.create(KeyRequest{User: "ann"})
	if !regexp.MustCompile(`^AKIA[A-Z2-7]{16}$`).MatchString(key.AccessKeyID) || len(key.Secret.Reveal()) != 40 {
		t.Errorf("id %s, secret of %d characters: not what AWS keys look like", key.AccessKeyID, len(key.Secret.Reveal()))
	}
	for _, algorithm := range []sigv4.Algorithm{sigv4.SigV4A, sigv4.SigV4} {
		if got := w.works(key, algorithm); got != "ok" {
			t.Errorf("%v: %s", algorithm, got)
		}
	}
	w.reopen()
	if got := w.works(key, sigv4.SigV4A); got != "ok" {
		t.Errorf("after a restart: %s", got)
	}
	if err := w.RemoveKey(context.Background(), account, key.AccessKeyID); err != nil {
		t.Fatal(err)
	}
	if got := w.works(key, sigv4.SigV4A); got != "Unauthenticated" {
		t.Errorf("removed: %s", got)
	}
	w.reopen()
	if got := w.works(key, sigv4.SigV4A); got != "Unauthenticated" {
		t.Errorf("removed, after a restart: %s", got)
	}
	if err := w.RemoveKey(context.Background(), account, key.AccessKeyID); kindName(err) != "ResourceNotFound" {
		t.Errorf("removed twice: %v", err)
	}
}

func TestAKeyOfAnotherAccountCannotBeRemovedOrRotated(t *testing.T) {
	w := newWorld(t)
	key := w.create(KeyRequest{User: popkv.RootUser})
	if err := w.RemoveKey(context.Background(), "999999999999", key.AccessKeyID); kindName(err) != "ResourceNotFound" {
		t.Errorf("removed: %v", err)
	}
	if _, err := w.RotateKey(context.Background(), "999999999999", key.AccessKeyID, 0); kindName(err) != "ResourceNotFound" {
		t.Errorf("rotated: %v", err)
	}
	if err := w.RemoveKey(context.Background(), "", key.AccessKeyID); err != nil {
		t.Errorf("from any account: %v", err)
	}
}

func TestAPublicKeyOnlyKeySignsSigV4AAlone(t *testing.T) {
	w := newWorld(t)
	key := w.create(KeyRequest{User: "ann", PublicKeyOnly: true})
	for range 2 {
		if got := w.works(key, sigv4.SigV4A); got != "ok" {
			t.Errorf("SigV4A: %s", got)
		}
		if got := w.works(key, sigv4.SigV4); got != "Unauthenticated" {
			t.Errorf("SigV4: %s", got)
		}
		w.reopen()
	}
	w.eachRecord(func(record string, value []byte) {
		if strings.HasSuffix(record, key.AccessKeyID) && bytes.Contains(value, []byte("sealed")) {
			t.Errorf("record %s holds a sealed secret", record)
		}
	})
}

func TestATemporaryKeyNeedsItsTokenAndEnds(t *testing.T) {
	w := newWorld(t)
	key := w.create(KeyRequest{User: "ann", Life: time.Hour})
	if !strings.HasPrefix(key.AccessKeyID, "ASIA") || key.SessionToken.IsEmpty() || !key.Expires.Equal(w.now.Add(time.Hour)) {
		t.Fatalf("not a temporary key: %+v", key)
	}
	bare, other := key, key
	bare.SessionToken, other.SessionToken = popkv.Secret{}, popkv.NewSecret("another token")
	for name, c := range map[string]struct {
		by   Credentials
		want string
	}{
		"with its token":    {key, "ok"},
		"without a token":   {bare, "Unauthenticated"},
		"with another":      {other, "Unauthenticated"},
		"long-term with it": {Credentials{w.create(KeyRequest{User: "ann"}).AccessKeyID, key.Secret, key.SessionToken, key.Expires}, "Unauthenticated"},
	} {
		if got := w.works(c.by, sigv4.SigV4A); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	w.now = w.now.Add(time.Hour - time.Second)
	if got := w.works(key, sigv4.SigV4); got != "ok" {
		t.Errorf("a second before its end: %s", got)
	}
	w.now = w.now.Add(time.Second)
	if got := w.works(key, sigv4.SigV4); got != "Unauthenticated" {
		t.Errorf("at its end: %s", got)
	}
	w.eachRecord(func(record string, value []byte) {
		if bytes.Contains(value, []byte(key.SessionToken.Reveal())) {
			t.Errorf("record %s holds the token", record)
		}
	})
}

func TestExpiredKeysAreSweptWhenAKeyIsMade(t *testing.T) {
	w := newWorld(t)
	for range 10 {
		w.create(KeyRequest{User: "ann", Life: time.Minute})
	}
	lasting := w.create(KeyRequest{User: "ann"})
	w.now = w.now.Add(time.Hour)
	w.create(KeyRequest{User: "ann"})
	if got := len(w.Keys("", "")); got != 10+2-8 {
		t.Errorf("%d keys left, want 8 swept", got)
	}
	w.create(KeyRequest{User: "ann"})
	w.reopen()
	if got := len(w.Keys("", "")); got != 3 {
		t.Errorf("%d keys left, want the three lasting ones", got)
	}
	if got := w.works(lasting, sigv4.SigV4A); got != "ok" {
		t.Errorf("a lasting key: %s", got)
	}
}

func TestRotationKeepsUserKindAndPolicies(t *testing.T) {
	w := newWorld(t)
	w.put("ann", "read", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`)
	for name, q := range map[string]KeyRequest{"secret": {User: "ann"}, "public key": {User: "ann", PublicKeyOnly: true}} {
		old := w.create(q)
		key, err := w.RotateKey(context.Background(), account, old.AccessKeyID, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.works(old, sigv4.SigV4A); got != "Unauthenticated" {
			t.Errorf("%s: the old key: %s", name, got)
		}
		a, err := w.admit(w.gate(GateOptions{}), call{target: getTarget}, key)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := popkv.Caller{Account: account, User: "ann", AccessKeyID: key.AccessKeyID}
		if diff := cmp.Diff(want, a.Caller); diff != "" {
			t.Errorf("%s: caller (-want +got):\n%s", name, diff)
		}
		if err := w.gate(GateOptions{}).Authorize(context.Background(), a, "cloudfront-keyvaluestore:GetKey", storeARN, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRotationWithGraceLeavesTheOldKeyForAWhile(t *testing.T) {
	w := newWorld(t)
	old := w.create(KeyRequest{User: popkv.RootUser})
	if _, err := w.RotateKey(context.Background(), account, old.AccessKeyID, time.Minute); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := w.works(old, sigv4.SigV4A); got != "ok" {
			t.Errorf("within the grace: %s", got)
		}
		w.reopen()
	}
	w.now = w.now.Add(time.Minute)
	if got := w.works(old, sigv4.SigV4A); got != "Unauthenticated" {
		t.Errorf("after it: %s", got)
	}
	temporary := w.create(KeyRequest{User: "ann", Life: time.Hour})
	if _, err := w.RotateKey(context.Background(), account, temporary.AccessKeyID, 0); kindName(err) != "Invalid" {
		t.Errorf("a temporary key: %v", err)
	}
}

func TestTheEnvironmentsRootKeyIsNeverStored(t *testing.T) {
	root := Credentials{AccessKeyID: "test", Secret: popkv.NewSecret("test")}
	w := newWorld(t, func(w *world) { w.options.Root, w.options.RootAccount = root, account })
	if got := w.works(root, sigv4.SigV4); got != "ok" {
		t.Errorf("with it: %s", got)
	}
	if !w.HasRootKey(account) || w.HasRootKey("999999999999") {
		t.Error("HasRootKey does not see it, or sees it elsewhere")
	}
	if err := w.RemoveKey(context.Background(), "", "test"); kindName(err) != "Invalid" {
		t.Errorf("removed: %v", err)
	}
	if _, err := w.RotateKey(context.Background(), "", "test", 0); kindName(err) != "Invalid" {
		t.Errorf("rotated: %v", err)
	}
	w.create(KeyRequest{User: "ann"}) // a change must not lose it
	if got := w.works(root, sigv4.SigV4); got != "ok" {
		t.Errorf("after a change: %s", got)
	}
	w.options.Root = Credentials{}
	w.reopen()
	if got := w.works(root, sigv4.SigV4); got != "Unauthenticated" {
		t.Errorf("without it: %s", got)
	}
	if w.HasRootKey(account) {
		t.Error("HasRootKey sees what is not stored")
	}
}

func TestOnlyALongTermRootKeyCounts(t *testing.T) {
	w := newWorld(t)
	w.create(KeyRequest{User: popkv.RootUser, Life: time.Hour})
	w.create(KeyRequest{User: "ann"})
	if w.HasRootKey(account) {
		t.Error("a temporary root key or a user's key counts")
	}
	w.create(KeyRequest{User: popkv.RootUser})
	if !w.HasRootKey(account) {
		t.Error("a root key does not count")
	}
}

func TestKeysAreListedWithoutSecrets(t *testing.T) {
	w := newWorld(t)
	ann := w.create(KeyRequest{User: "ann", PublicKeyOnly: true})
	bob := w.create(KeyRequest{User: "bob", Life: time.Hour})
	far := w.create(KeyRequest{Account: "000000000000", User: popkv.RootUser})
	want := []KeyInfo{
		{AccessKeyID: far.AccessKeyID, Account: "000000000000", User: "root", Created: w.now, Stored: true},
		{AccessKeyID: ann.AccessKeyID, Account: account, User: "ann", Created: w.now, PublicKeyOnly: true, Stored: true},
		{AccessKeyID: bob.AccessKeyID, Account: account, User: "bob", Created: w.now, Expires: w.now.Add(time.Hour), Temporary: true, Stored: true},
	}
	if diff := cmp.Diff(want, w.Keys("", "")); diff != "" {
		t.Errorf("all keys (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[2:], w.Keys(account, "bob")); diff != "" {
		t.Errorf("keys of bob (-want +got):\n%s", diff)
	}
}

func TestBadKeyRequests(t *testing.T) {
	w := newWorld(t)
	for _, q := range []KeyRequest{
		{Account: "12345678901", User: "ann"}, {Account: account, User: ""}, {Account: account, User: "a/b"},
		{Account: account, User: strings.Repeat("a", 65)}, {Account: account, User: "ann", Life: -1},
	} {
		if _, err := w.CreateKey(context.Background(), q); kindName(err) != "Invalid" {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// Only so many keys are held ready, and which ones makes no difference.
func TestPreparedKeysAreBounded(t *testing.T) {
	w := newWorld(t, func(w *world) { w.options.PreparedKeys = 3 })
	var keys []Credentials
	for range 8 {
		keys = append(keys, w.create(KeyRequest{User: "ann"}))
	}
	for range 3 {
		for _, key := range keys {
			if got := w.works(key, sigv4.SigV4); got != "ok" {
				t.Fatalf("%s", got)
			}
			ready := 0
			for _, e := range w.current.Load().keys {
				if e.ready.Load() != nil {
					ready++
				}
			}
			if ready > 3 {
				t.Fatalf("%d keys are held ready, want at most 3", ready)
			}
		}
	}
}

// Whatever becomes of a commit whose answer is lost, memory holds what the
// journal holds afterwards.
func TestAfterALostAnswerMemoryAgreesWithTheJournal(t *testing.T) {
	for name, fault := range map[string]memjournal.Fault{
		"refused": memjournal.Refused, "not persisted": memjournal.UnknownLost, "persisted anyway": memjournal.UnknownApplied,
	} {
		t.Run(name, func(t *testing.T) {
			var active memjournal.Fault
			w := newWorld(t, func(w *world) {
				w.driver = memjournal.New(memjournal.Options{Fault: func(c memjournal.Call) memjournal.Fault {
					if c.Method == "Commit" {
						return active
					}
					return memjournal.NoFault
				}})
			})
			key := w.create(KeyRequest{User: "ann"})
			active = fault
			removal := w.RemoveKey(context.Background(), account, key.AccessKeyID)
			_, creation := w.CreateKey(context.Background(), KeyRequest{Account: account, User: "bob"})
			active = memjournal.NoFault
			t.Logf("removal: %v; creation: %v", removal, creation)
			before := w.Keys("", "")
			w.reopen()
			if diff := cmp.Diff(w.Keys("", ""), before); diff != "" {
				t.Errorf("journal and memory (-journal +memory):\n%s", diff)
			}
			if got := w.works(key, sigv4.SigV4A); removal == nil && got != "Unauthenticated" {
				t.Errorf("removed without an error: %s", got)
			}
		})
	}
}

// eachRecord yields everything that is in the catalog's records of access.
func (w *world) eachRecord(f func(key string, value []byte)) {
	w.t.Helper()
	for _, prefix := range []string{"a/", "p/"} {
		err := w.journal.Scan(context.Background(), prefix, journal.PrefixEnd(prefix), 0, func(key string, value []byte) error {
			f(key, value)
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// A canary: no secret or token turns up where it could be read.
func TestSecretsNeverShow(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.options.Root, w.options.RootAccount = Credentials{AccessKeyID: "AKIAROOT", Secret: popkv.NewSecret("canary-root-secret")}, account
	})
	keys := []Credentials{
		{AccessKeyID: "AKIAROOT", Secret: popkv.NewSecret("canary-root-secret")},
		w.create(KeyRequest{User: "ann"}), w.create(KeyRequest{User: "ann", Life: time.Hour}), w.create(KeyRequest{User: "ann", PublicKeyOnly: true}),
	}
	var shown strings.Builder
	for _, key := range keys {
		w.works(key, sigv4.SigV4A)
		w.works(Credentials{AccessKeyID: key.AccessKeyID, Secret: popkv.NewSecret("wrong")}, sigv4.SigV4)
		fmt.Fprintf(&shown, "%v %+v %#v %s %q %x\n", key, key, key, key, key, key)
		shown.Write(encodeRecord(key))
		w.options.Logger.Info("made", "credentials", key, "secret", key.Secret)
	}
	fmt.Fprintf(&shown, "%+v %#v %v", w.Keys("", ""), w.Directory.data, w.Directory.data)
	w.eachRecord(func(_ string, value []byte) { shown.Write(value) })
	shown.WriteString(w.log.String())
	for _, key := range keys {
		for what, secret := range map[string]string{"secret": key.Secret.Reveal(), "token": key.SessionToken.Reveal(), "data key": string(w.Directory.data[:])} {
			if secret != "" && strings.Contains(shown.String(), secret) {
				t.Errorf("the %s of %s shows", what, key.AccessKeyID)
			}
		}
	}
	if !strings.Contains(shown.String(), "***") {
		t.Error("nothing was hidden, so nothing was shown")
	}
}

func TestSecretsMadeHereAreNotWeak(t *testing.T) {
	if newWorld(t).create(KeyRequest{User: "ann"}).Secret.IsWeak() {
		t.Error("a new key has a weak secret")
	}
}
