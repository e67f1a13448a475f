package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"pgregory.net/rapid"

	"github.com/popkv/popkv"
)

const account = "POPKV_ACCOUNT_ID=123456789012"

// load runs Load as the commands do: flags through pflag, the file written to
// a temporary directory.
func load(t *testing.T, command Command, args, environ []string, file string) (*Loaded, error) {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags := AddFlags(fs, command)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	src := Source{Command: command, Flags: flags.Given(), Environ: environ}
	if file != "" {
		src.File = filepath.Join(t.TempDir(), "popkv.yaml")
		if err := os.WriteFile(src.File, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(src)
}

func mustLoad(t *testing.T, command Command, args, environ []string, file string) *Loaded {
	t.Helper()
	l, err := load(t, command, args, environ, file)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestFlagsWinOverEnvironmentOverFileOverDefault(t *testing.T) {
	const file = "listen: file:1\nregion: file\ns3:\n  region: file\nlog.level: warn\n"
	l := mustLoad(t, Serve, []string{"--listen", "flag:1"}, []string{"POPKV_LISTEN=env:1", "POPKV_REGION=env", "PATH=/bin"}, file)
	got := map[string]string{}
	for _, v := range l.Values() {
		origin, _, _ := strings.Cut(string(v.Origin), " /")
		if origin != "default" || v.Key == "admin.listen" {
			got[v.Key] = v.Text + " from " + origin
		}
	}
	want := map[string]string{
		"listen":       "flag:1 from flag --listen",
		"region":       "env from environment POPKV_REGION",
		"s3.region":    "file from file",
		"log.level":    "warn from file",
		"admin.listen": "localhost:8081 from default",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(l.Warnings) != 0 {
		t.Errorf("warnings: %v", l.Warnings)
	}
}

func TestEverySettingIsReadFromEveryLayer(t *testing.T) {
	samples := map[Kind]string{
		KindText: "x", KindSecret: "x", KindList: "x,y", KindAddress: "h:1", KindBool: "true", KindCount: "7",
		KindSize: "7KiB", KindDuration: "7s", KindStaleETag: "conflict", KindFunctionMode: "inprocess",
		KindLogLevel: "debug", KindLogFormat: "json",
	}
	for _, s := range Settings() {
		text, ok := samples[s.Kind]
		if !ok {
			t.Fatalf("no sample of kind %s", s.Kind)
		}
		var want Config
		if err := s.set(&want, text); err != nil {
			t.Fatalf("%s: %v", s.Key, err)
		}
		for name, l := range map[string]*Loaded{
			"flag": mustLoad(t, Dev, []string{"--" + s.Flag() + "=" + text}, nil, ""),
			"env":  mustLoad(t, Dev, nil, []string{s.Env() + "=" + text}, ""),
			"file": mustLoad(t, Dev, nil, nil, s.Key+": "+text),
		} {
			if diff := cmp.Diff(deref(s.field(&want)), deref(s.field(&l.Config)), cmp.AllowUnexported(popkv.Secret{})); diff != "" {
				t.Errorf("%s from %s: %s", s.Key, name, diff)
			}
			if l.Origin(s.Key) == OriginDefault {
				t.Errorf("%s from %s: origin is default", s.Key, name)
			}
		}
	}
}

func deref(p any) any {
	switch p := p.(type) {
	case *string:
		return *p
	case *bool:
		return *p
	case *int:
		return *p
	case *int64:
		return *p
	case *time.Duration:
		return *p
	case *[]string:
		return *p
	case *popkv.Secret:
		return p.Reveal()
	case *StaleETag:
		return *p
	case *FunctionMode:
		return *p
	}
	panic(fmt.Sprintf("unknown field type %T", p))
}

// A field that no setting fills would silently keep its zero value.
func TestEveryFieldHasASetting(t *testing.T) {
	filled := map[any]bool{}
	var c Config
	for _, s := range Settings() {
		p := s.field(&c)
		if filled[p] {
			t.Errorf("%s fills a field that another setting fills", s.Key)
		}
		filled[p] = true
	}
	if got, want := len(filled), countLeaves(t, c); got != want {
		t.Errorf("%d settings fill %d fields of Config", got, want)
	}
}

func countLeaves(t *testing.T, c Config) int {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	var count func(any) int
	count = func(v any) int {
		m, ok := v.(map[string]any)
		if !ok {
			return 1
		}
		n := 0
		for _, child := range m {
			n += count(child)
		}
		return n
	}
	return count(tree)
}

func TestNamesAreUniqueAndNoKeyIsASectionToo(t *testing.T) {
	seen := map[string]string{}
	for _, s := range inputs() {
		for _, name := range []string{s.Key, s.Env(), "--" + s.Flag(), "--" + s.Alias} {
			if other, dup := seen[name]; dup && name != "--" {
				t.Errorf("%s and %s are both %s", s.Key, other, name)
			}
			seen[name] = s.Key
		}
		for _, other := range inputs() {
			if strings.HasPrefix(other.Key, s.Key+".") {
				t.Errorf("%s is a key and the section of %s", s.Key, other.Key)
			}
		}
	}
}

func TestDefaultsOfTheTwoCommands(t *testing.T) {
	dev, serve := Default(Dev), Default(Serve)
	if err := dev.Validate(); err != nil {
		t.Errorf("dev is not valid as it is: %v", err)
	}
	if err := serve.Validate(); err == nil || !strings.Contains(err.Error(), "POPKV_ACCOUNT_ID") {
		t.Errorf("serve without an account: %v", err)
	}
	if diff := cmp.Diff(popkv.DefaultLimits(), serve.Limits); diff != "" {
		t.Error("limits differ from AWS's quotas", diff)
	}
	if dev.SecretsKeyFile != ".popkv.key" || dev.AccountID != "000000000000" || dev.RootSecretAccessKey.Reveal() != "test" {
		t.Errorf("dev: %+v", dev)
	}
	if diff := cmp.Diff(dev, mustLoad(t, Dev, nil, nil, "").Config, cmp.AllowUnexported(popkv.Secret{})); diff != "" {
		t.Error("Default and an empty Load differ", diff)
	}
}

func TestSecretsKeyFileFollowsTheDataDirectory(t *testing.T) {
	if got := mustLoad(t, Serve, nil, []string{"POPKV_DATA_DIR=/data"}, "").Config.SecretsKeyFile; got != "/data.key" {
		t.Errorf("got %s", got)
	}
	if got := mustLoad(t, Dev, []string{"--in-memory"}, nil, "").Config.SecretsKeyFile; got != "" {
		t.Errorf("in memory: got %s", got)
	}
	if got := mustLoad(t, Dev, []string{"--secrets-key-file=k"}, nil, "").Config.SecretsKeyFile; got != "k" {
		t.Errorf("given: got %s", got)
	}
}

func TestMistakesAreRefused(t *testing.T) {
	cases := []struct {
		name          string
		args, environ []string
		file, want    string
	}{
		{"an unknown flag", []string{"--lsiten=x"}, nil, "", "unknown flag: --lsiten"},
		{"an unknown key", nil, nil, "lsiten: x", "unknown key lsiten"},
		{"an unknown key is compared with the known ones", nil, nil, "s3: {end_point: x}", "did you mean s3.endpoint?"},
		{"a key without its section", nil, nil, "value_bytes: 1", "did you mean limits.value_bytes?"},
		{"a value in place of a section", nil, nil, "history: 5", "unknown key history, did you mean history.age?"},
		{"a key given twice", nil, nil, "listen: a:1\nlisten: b:1", "listen is given twice"},
		{"a second document", nil, nil, "listen: a:1\n---\nregion: x", "second document"},
		{"a second document that cannot be read", nil, nil, "listen: a:1\n---\n[", "line 3"},
		{"a key given nested and dotted", nil, nil, "tls.key_file: a\ntls: {key_file: b}", "tls.key_file is given twice"},
		{"a list in a list", nil, nil, "public_hosts: [[a]]", "plain values only"},
		{"a document that is a list", nil, nil, "- a", "expected keys and values"},
		{"YAML that does not parse", nil, nil, "a: [", "popkv.yaml"},
		{"a bad size in a flag", []string{"--limits-value-bytes=1k"}, nil, "", `"1k" is not a size`},
		{"a bad size in the environment names the variable", nil, []string{"POPKV_LIMITS_VALUE_BYTES=1k"}, "", "environment POPKV_LIMITS_VALUE_BYTES"},
		{"a zero limit", nil, []string{"POPKV_LIMITS_STORES=0"}, "", "not more than zero"},
		{"a negative number", nil, []string{"POPKV_LIMITS_REQUESTS_PER_SECOND=-1"}, "", "not more than zero"},
		{"a negative duration", nil, []string{"POPKV_HISTORY_AGE=-1s"}, "", "not more than zero"},
		{"a choice", nil, nil, "compat: {stale_etag: 409}", `"409" is not one of validation or conflict`},
		{"an address without a port", nil, nil, "listen: localhost", "not host:port"},
		{"not a boolean", nil, nil, "in_memory: maybe", "not true or false"},
		{"a secret and its file in one layer", nil, nil, "root: {secret_access_key: a, secret_access_key_file: b}", "keep one"},
		{"a secret file that is missing", nil, []string{"POPKV_ROOT_SECRET_ACCESS_KEY_FILE=/nonexistent/x"}, "", "root.secret_access_key_file (environment"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, Serve, c.args, c.environ, c.file)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
	if _, err := Load(Source{Command: Serve, File: "/nonexistent/popkv.yaml"}); err == nil {
		t.Error("a missing settings file is no error")
	}
}

func TestUnknownVariablesGetOneWarningEach(t *testing.T) {
	l := mustLoad(t, Dev, nil, []string{
		"POPKV_LSITEN=x", "POPKV_ENDPOINT=x", "POPKV_ACCESS_KEY_ID=x", "POPKV_SECRET_ACCESS_KEY=x", "POPKV_SESSION_TOKEN=x",
		"POPKV_VECTORS=x", "POPKV_SEED=1", "POPKV_CONFIG=x", "OTHER=x", "POPKV_LISTEN=",
	}, "")
	if len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "POPKV_LSITEN") {
		t.Errorf("warnings: %q", l.Warnings)
	}
	if l.Origin("listen") != OriginDefault {
		t.Error("an empty variable counts as set")
	}
}

func TestValuesAreKeptAsWritten(t *testing.T) {
	l := mustLoad(t, Serve, []string{"--public-host", "a.example", "--public-host=b.example"}, nil,
		"# a comment\naccount_id: 012345678901\nlimits:\ntls: {}\n")
	if l.Config.AccountID != "012345678901" {
		t.Errorf("account_id = %s", l.Config.AccountID)
	}
	if diff := cmp.Diff([]string{"a.example", "b.example"}, l.Config.PublicHosts); diff != "" {
		t.Error(diff)
	}
	l = mustLoad(t, Serve, nil, nil, "public_hosts: [a.example, b.example]")
	if diff := cmp.Diff([]string{"a.example", "b.example"}, l.Config.PublicHosts); diff != "" {
		t.Error(diff)
	}
}

func TestSecretsComeFromFilesToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("from the file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const key = "root.secret_access_key"
	l := mustLoad(t, Serve, nil, []string{"POPKV_ROOT_SECRET_ACCESS_KEY_FILE=" + path}, "root: {secret_access_key: from yaml}")
	if got := l.Config.RootSecretAccessKey.Reveal(); got != "from the file" {
		t.Errorf("got %q", got)
	}
	if got := l.Origin(key); got != "environment POPKV_ROOT_SECRET_ACCESS_KEY_FILE" {
		t.Errorf("origin %q", got)
	}
	l = mustLoad(t, Serve, []string{"--root-secret-access-key=flag"}, []string{"POPKV_ROOT_SECRET_ACCESS_KEY_FILE=" + path}, "")
	if got := l.Config.RootSecretAccessKey.Reveal(); got != "flag" {
		t.Errorf("a flag does not win over a file named in the environment: %q", got)
	}
	if err := os.WriteFile(path, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(t, Serve, nil, []string{"POPKV_S3_SECRET_ACCESS_KEY_FILE=" + path}, ""); err == nil {
		t.Error("an empty secret file is accepted")
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	const secret = "hunter2hunter2"
	l := mustLoad(t, Serve, nil, []string{"POPKV_ROOT_SECRET_ACCESS_KEY=" + secret, "POPKV_S3_SECRET_ACCESS_KEY=" + secret}, "")
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb, l.Config, l.Config.RootSecretAccessKey)
	}
	fmt.Fprintf(&out, "%v %+v", l.Values(), &l.Config)
	if err := json.NewEncoder(&out).Encode(l.Config); err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "config", l.Config, "secret", l.Config.RootSecretAccessKey)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "config", l.Config, "secret", l.Config.RootSecretAccessKey)
	if strings.Contains(out.String(), secret) || strings.Contains(out.String(), fmt.Sprintf("%x", secret)) {
		t.Error("the secret is shown: ", out.String())
	}
	if !strings.Contains(out.String(), "***") {
		t.Error("nothing stands for the secret")
	}
}

func TestValidateSaysWhatToDo(t *testing.T) {
	good := "Xq7v2LmNp0RsTuVw3yZaBcDe5fGhIjK9lMnOpQ1r"
	cases := []struct {
		name    string
		command Command
		environ []string
		want    string // "" is valid
	}{
		{"an account is enough", Serve, []string{account}, ""},
		{"no account", Serve, nil, "set POPKV_ACCOUNT_ID"},
		{"a short account", Serve, []string{"POPKV_ACCOUNT_ID=1"}, "not 12 digits"},
		{"half a root key", Dev, []string{"POPKV_ROOT_ACCESS_KEY_ID=AKID"}, "give both or neither"},
		{"the other half", Dev, []string{"POPKV_ROOT_SECRET_ACCESS_KEY=" + good}, "give both or neither"},
		{"the sample key on every address", Dev, []string{"POPKV_LISTEN=:8080"}, "which other machines can reach"},
		{"a short secret on an outside address", Serve, []string{account, "POPKV_LISTEN=10.0.0.1:1", "POPKV_ROOT_ACCESS_KEY_ID=a", "POPKV_ROOT_SECRET_ACCESS_KEY=Xq7v2LmNp0RsTuVw3yZ"}, "too easy to guess"},
		{"AWS's sample secret", Serve, []string{account, "POPKV_LISTEN=h:1", "POPKV_ROOT_ACCESS_KEY_ID=a", "POPKV_ROOT_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, "too easy to guess"},
		{"a monotonous secret", Serve, []string{account, "POPKV_LISTEN=h:1", "POPKV_ROOT_ACCESS_KEY_ID=a", "POPKV_ROOT_SECRET_ACCESS_KEY=" + strings.Repeat("ab", 20)}, "too easy to guess"},
		{"a random secret on an outside address", Serve, []string{account, "POPKV_LISTEN=0.0.0.0:1", "POPKV_ROOT_ACCESS_KEY_ID=a", "POPKV_ROOT_SECRET_ACCESS_KEY=" + good}, ""},
		{"a weak secret on loopback", Serve, []string{account, "POPKV_LISTEN=[::1]:1", "POPKV_ROOT_ACCESS_KEY_ID=a", "POPKV_ROOT_SECRET_ACCESS_KEY=b"}, ""},
		{"two places to import from", Dev, []string{"POPKV_IMPORT_DIR=d", "POPKV_S3_ENDPOINT=http://s3"}, "unset the other"},
		{"an S3 endpoint without scheme", Dev, []string{"POPKV_S3_ENDPOINT=minio:9000"}, "not a URL"},
		{"half an S3 key", Dev, []string{"POPKV_S3_ENDPOINT=http://s3", "POPKV_S3_ACCESS_KEY_ID=a"}, "give both or neither"},
		{"a certificate without its key", Dev, []string{"POPKV_TLS_CERT_FILE=c"}, "give both or neither"},
		{"a public host with a port", Dev, []string{"POPKV_PUBLIC_HOSTS=a.example:80"}, "not a host name"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := mustLoad(t, c.command, nil, c.environ, "")
			err := l.Config.Validate()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), good) {
				t.Errorf("the message holds the secret: %v", err)
			}
		})
	}
}

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"localhost:1": true, "LOCALHOST:1": true, "127.0.0.1:1": true, "127.8.9.1:1": true, "[::1]:1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "example.com:1": false, "localhost": false,
	} {
		if got := Loopback(address); got != want {
			t.Errorf("Loopback(%q) = %v", address, got)
		}
	}
}

func TestSizesAndDurations(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "12": 12, "12B": 12, "64KiB": 64 << 10, "64 MiB": 64 << 20, "2GiB": 2 << 30, "5KB": 5000, "5MB": 5e6, "1GB": 1e9,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "B", "-1", "1k", "1.5MiB", "9223372036854775807KiB", "0x10"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d", text, got)
		}
	}
	for text, want := range map[string]time.Duration{"7d": 7 * day, "0d": 0, "0s": 0, "1h30m": 90 * time.Minute, "50ms": 50 * time.Millisecond} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "1.5d", "-1d", "7", "999999999999d"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(0, 1<<62).Draw(t, "size")
		if got, err := ParseSize(FormatSize(size)); err != nil || got != size {
			t.Fatalf("size %d: %s: %d, %v", size, FormatSize(size), got, err)
		}
		step := rapid.SampledFrom([]time.Duration{1, time.Millisecond, time.Second, time.Minute, time.Hour, day}).Draw(t, "step")
		d := step * time.Duration(rapid.Int64Range(0, 10_000).Draw(t, "n"))
		if got, err := ParseDuration(FormatDuration(d)); err != nil || got != d {
			t.Fatalf("duration %d: %s: %d, %v", d, FormatDuration(d), got, err)
		}
	})
}

func FuzzParseYAML(f *testing.F) {
	f.Add([]byte("listen: a:1\nlimits: {stores: 5}\npublic_hosts: [a, b]"))
	f.Add([]byte("a: &x 1\nb: *x"))
	f.Add([]byte("- a"))
	f.Fuzz(func(t *testing.T, text []byte) {
		flat, err := parseYAML(text)
		if err != nil {
			return
		}
		for key, value := range flat {
			if _, ok := value.(string); !ok {
				t.Fatalf("%s is a %T", key, value)
			}
		}
	})
}
