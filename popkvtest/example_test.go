package popkvtest_test

import (
	"context"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	kvs "github.com/aws/aws-sdk-go-v2/service/cloudfrontkeyvaluestore"

	"github.com/popkv/popkv/popkvtest"
)

// awsConfig points an AWS client at a server: with it,
// cloudfrontkeyvaluestore.NewFromConfig and cloudfront.NewFromConfig need
// nothing else.
func awsConfig(kv *popkvtest.Server) aws.Config {
	return aws.Config{
		Region:       kv.Region,
		Credentials:  credentials.NewStaticCredentialsProvider(kv.AccessKeyID, kv.SecretAccessKey, ""),
		BaseEndpoint: aws.String(kv.URL),
		HTTPClient:   kv.HTTPClient(),
	}
}

// A test begins with popkvtest.Start(t) and kv.Store(t, ...) instead, and need
// not close anything.
func Example() {
	kv, err := popkvtest.New()
	if err != nil {
		log.Fatal(err)
	}
	defer kv.Close()
	ctx := context.Background()
	arn, err := kv.MakeStore(ctx, "redirects", map[string]string{"/old": "/new"})
	if err != nil {
		log.Fatal(err)
	}

	client := kvs.NewFromConfig(awsConfig(kv))
	got, err := client.GetKey(ctx, &kvs.GetKeyInput{KvsARN: &arn, Key: aws.String("/old")})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(*got.Value)

	store, err := client.DescribeKeyValueStore(ctx, &kvs.DescribeKeyValueStoreInput{KvsARN: &arn})
	if err != nil {
		log.Fatal(err)
	}
	after, err := client.PutKey(ctx, &kvs.PutKeyInput{
		KvsARN: &arn, IfMatch: store.ETag, Key: aws.String("/older"), Value: aws.String("/new"),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(*after.ItemCount, "items,", *after.TotalSizeInBytes, "bytes")
	// Output:
	// /new
	// 2 items, 18 bytes
}
