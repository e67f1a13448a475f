package server

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
)

// Who knows the id of another account's store must not learn its tags, nor
// that it exists, by asking for it under the own account.
func TestTagsOfAnotherAccountDecideNothing(t *testing.T) {
	s := start(t, nil)
	const other = "111111111111"
	root, err := s.directory.CreateKey(t.Context(), access.KeyRequest{Account: other, User: popkv.RootUser})
	if err != nil {
		t.Fatal(err)
	}
	control, _ := clients(t, s, root.AccessKeyID, root.Secret.Reveal())
	made, err := control.CreateKeyValueStore(t.Context(), &cloudfront.CreateKeyValueStoreInput{
		Name: aws.String("theirs"), Tags: &types.Tags{Items: []types.Tag{{Key: aws.String("team"), Value: aws.String("db")}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, own := newStore(t, s, "ours", noItems)
	foreign := "/key-value-stores/" + strings.Replace(*made.KeyValueStore.ARN, other, account, 1)
	nowhere := "/key-value-stores/" + popkv.StoreARN(account, popkv.NewStoreID()).String()

	eve, err := s.directory.CreateKey(t.Context(), access.KeyRequest{Account: account, User: "eve"})
	if err != nil {
		t.Fatal(err)
	}
	for condition, want := range map[string]int{
		`"StringEquals":{"aws:ResourceTag/team":"db"}`:    403,
		`"StringEquals":{"aws:ResourceTag/team":"web"}`:   403,
		`"StringNotEquals":{"aws:ResourceTag/team":"db"}`: 404,
		`"Null":{"aws:ResourceTag/team":"true"}`:          404,
	} {
		document := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{` + condition + `}}}`
		if err := s.directory.PutPolicy(t.Context(), account, "eve", "p", []byte(document)); err != nil {
			t.Fatal(err)
		}
		for name, path := range map[string]string{"another account's store": foreign, "no store": nowhere} {
			if got := send(t, s, message{target: path, by: eve}); got.status != want {
				t.Errorf("%s of %s: %v, want %d", condition, name, got, want)
			}
		}
		if got := send(t, s, message{target: own, by: eve}); (got.status == 200) != (want == 404) {
			t.Errorf("%s of the own store: %v", condition, got)
		}
	}
}
