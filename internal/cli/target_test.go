package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestTargetIsNamedByFlagThenVariables(t *testing.T) {
	cases := []struct {
		name                  string
		endpoint              string
		aws                   bool
		environ               []string
		data, control, source string
	}{
		{"the flag", "http://a:1", false, []string{"POPKV_ENDPOINT=http://b"}, "http://a:1", "http://a:1", "--endpoint"},
		{"popkv's variable", "", false, []string{"POPKV_ENDPOINT=http://b", "AWS_ENDPOINT_URL=http://c"}, "http://b", "http://b", "POPKV_ENDPOINT"},
		{"one AWS variable for both planes", "", false, []string{"AWS_ENDPOINT_URL=http://c/"}, "http://c", "http://c", "AWS_ENDPOINT_URL"},
		{"a plane's own variable wins", "", false,
			[]string{"AWS_ENDPOINT_URL=http://c", "AWS_ENDPOINT_URL_CLOUDFRONT=http://d", "AWS_ENDPOINT_URL_CLOUDFRONT_KEYVALUESTORE=http://e"},
			"http://e", "http://d", "AWS_ENDPOINT_URL_CLOUDFRONT_KEYVALUESTORE"},
		{"one plane's variable does not leave the other at AWS", "", false, []string{"AWS_ENDPOINT_URL_CLOUDFRONT_KEYVALUESTORE=http://e"},
			"http://e", "http://e", "AWS_ENDPOINT_URL_CLOUDFRONT_KEYVALUESTORE"},
		{"the user name that catches the label is dropped", "http://kvs@localhost:8080", false, nil, "http://localhost:8080", "http://localhost:8080", "--endpoint"},
		{"AWS by flag only", "", true, []string{"POPKV_ENDPOINT=http://b", "AWS_ENDPOINT_URL=http://c"}, "", "", "--aws"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := &targetFlags{app: &app{environ: c.environ}, endpoint: c.endpoint, aws: c.aws}
			got, err := f.resolve(&cobra.Command{})
			if err != nil {
				t.Fatal(err)
			}
			if got.isAWS() {
				if c.data != "" {
					t.Fatal("the target is AWS")
				}
				return
			}
			if got.data.String() != c.data || got.control.String() != c.control || got.source != c.source {
				t.Errorf("got %s, %s, %s", got.data, got.control, got.source)
			}
		})
	}
}

func TestMissingCredentialsAreNamed(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	got := runApp(t, nil, "", "store", "ls", "--endpoint", "http://127.0.0.1:1")
	if got.code != exitAuth || !strings.Contains(got.stderr, "POPKV_ACCESS_KEY_ID") {
		t.Errorf("exit code %d, stderr %s", got.code, got.stderr)
	}
}
