// Command popkv is a self-hosted Amazon CloudFront KeyValueStore: the server
// and the commands that talk to one.
package main

import (
	"context"
	"os"

	"github.com/popkv/popkv/internal/cli"
)

func main() {
	os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
