package compat

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestTerraform applies a configuration of the AWS provider's resources for
// stores, keys and functions, changes it, takes a store away behind its back
// and destroys it. OpenTofu takes the same files.
func TestTerraform(t *testing.T) {
	for name, program := range map[string]string{"Terraform": "terraform", "OpenTofu": "tofu"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(program); err != nil {
				notRun(t, name, "no "+program+" on this machine")
			}
			s := startServer(t)
			tf := newTerraform(t, s, program)
			c := newGoSDK(t, s.target(s.root))
			tf.mustRun(t, "init", "-input=false")

			tf.apply(t, "one", "a", "b")
			redirects := storeARN(t, c, "redirects")
			wantItems(t, c, redirects, map[string]string{"/old": "/new", "a b/+%é": "one", "..": "two dots"})
			exclusive := storeARN(t, c, "exclusive")
			wantItems(t, c, exclusive, map[string]string{"a": "the value of a", "b": "the value of b"})

			described := mustCall(t, c, dataPlane, "DescribeKeyValueStore", map[string]any{"KvsARN": exclusive})
			mustCall(t, c, dataPlane, "PutKey", map[string]any{"KvsARN": exclusive, "Key": "not in the configuration", "Value": "v", "IfMatch": described["ETag"]})
			tf.apply(t, "two", "b", "c")
			wantItems(t, c, redirects, map[string]string{"/old": "/new", "a b/+%é": "two", "..": "two dots"})
			wantItems(t, c, exclusive, map[string]string{"b": "the value of b", "c": "the value of c"})
			live := mustCall(t, c, controlPlane, "DescribeFunction", map[string]any{"Name": "router", "Stage": "LIVE"})
			expect(t, "DescribeFunction", live, map[string]any{"ETag": "E3UN6WX5RRO2AG"})

			if out, changes := tf.plan(t, "two", "b", "c"); changes {
				t.Errorf("a plan right after apply wants changes:\n%s", out)
			}

			control := mustCall(t, c, controlPlane, "DescribeKeyValueStore", map[string]any{"Name": "exclusive"})
			mustCall(t, c, controlPlane, "DeleteKeyValueStore", map[string]any{"Name": "exclusive", "IfMatch": control["ETag"]})
			tf.apply(t, "two", "b", "c")
			again := storeARN(t, c, "exclusive")
			if again == exclusive {
				t.Error("the store that was made again has the ARN of the one that was deleted")
			}
			wantItems(t, c, again, map[string]string{"b": "the value of b", "c": "the value of c"})

			tf.mustRun(t, append([]string{"destroy", "-auto-approve", "-input=false"}, variables("two", "b", "c")...)...)
			stores := mustCall(t, c, controlPlane, "ListKeyValueStores", nil)
			functions := mustCall(t, c, controlPlane, "ListFunctions", nil)
			if left := fmt.Sprint(stores, functions); strings.Contains(left, "redirects") || strings.Contains(left, "exclusive") || strings.Contains(left, "router") {
				t.Errorf("left after destroy: %s", left)
			}
		})
	}
}

// terraform is one working directory.
type terraform struct{ program, dir string }

// newTerraform writes the configuration: the provider block of the guide, the
// resources of testdata, and settings that take the provider from a mirror on
// this machine.
func newTerraform(t *testing.T, s *server, program string) terraform {
	mirror, version := providerMirror(t)
	tf := terraform{program, t.TempDir()}
	resources, err := os.ReadFile("testdata/terraform/edge.tf")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"provider.tf": blockOf(t, s, "TestTerraform"),
		"edge.tf":     string(resources),
		"versions.tf": fmt.Sprintf(`terraform {
  required_providers {
    aws = {
      source  = "registry.terraform.io/hashicorp/aws"
      version = %q
    }
  }
}
`, version),
		"cli.tfrc": fmt.Sprintf(`disable_checkpoint = true
provider_installation {
  filesystem_mirror {
    path = %q
  }
}
`, mirror),
	} {
		write(t, filepath.Join(tf.dir, name), content)
	}
	return tf
}

// providerMirror looks where the AWS provider may be installed.
func providerMirror(t *testing.T) (dir, version string) {
	t.Helper()
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	places := []string{
		os.Getenv("POPKV_TERRAFORM_MIRROR"), os.Getenv("TF_PLUGIN_CACHE_DIR"),
		filepath.Join(home, ".terraform.d", "plugins"), filepath.Join(home, ".terraform.d", "plugin-cache"),
		filepath.Join(home, ".local", "share", "terraform", "plugins"),
		"/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins", "/opt/*",
	}
	for _, place := range places {
		if place == "" {
			continue
		}
		pattern := filepath.Join(place, "registry.terraform.io", "hashicorp", "aws", "*", runtime.GOOS+"_"+runtime.GOARCH, "terraform-provider-aws*")
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			newest := filepath.Dir(filepath.Dir(found[len(found)-1]))
			dir := newest
			for range 4 { // VERSION, aws, hashicorp, the registry
				dir = filepath.Dir(dir)
			}
			return dir, filepath.Base(newest)
		}
	}
	notRun(t, "Terraform's AWS provider", "it is in no mirror on this machine; POPKV_TERRAFORM_MIRROR names one")
	return "", ""
}

func (tf terraform) run(args ...string) (output string, err error) {
	cmd := withEnv(exec.Command(tf.program, append([]string{"-chdir=" + tf.dir}, args...)...), []string{
		"TF_CLI_CONFIG_FILE=" + filepath.Join(tf.dir, "cli.tfrc"), "TF_IN_AUTOMATION=1", "NO_COLOR=1",
	})
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err
}

func (tf terraform) mustRun(t *testing.T, args ...string) {
	t.Helper()
	if out, err := tf.run(args...); err != nil {
		t.Fatalf("%s %s: %v\n%s", tf.program, args[0], err, out)
	}
}

func variables(value string, exclusive ...string) []string {
	return []string{"-var", "value=" + value, "-var", `exclusive=["` + strings.Join(exclusive, `","`) + `"]`}
}

func (tf terraform) apply(t *testing.T, value string, exclusive ...string) {
	t.Helper()
	tf.mustRun(t, append([]string{"apply", "-auto-approve", "-input=false"}, variables(value, exclusive...)...)...)
}

// plan reports whether an apply would change something.
func (tf terraform) plan(t *testing.T, value string, exclusive ...string) (out string, changes bool) {
	t.Helper()
	out, err := tf.run(append([]string{"plan", "-detailed-exitcode", "-input=false"}, variables(value, exclusive...)...)...)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 2 {
		return out, true
	}
	if err != nil {
		t.Fatalf("%s plan: %v\n%s", tf.program, err, out)
	}
	return out, false
}
