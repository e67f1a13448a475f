package cli

import (
	"os/exec"
	"strings"
	"testing"
)

func TestEnvGivesTheVariablesOfDev(t *testing.T) {
	got := runApp(t, nil, "", "env", "--shell", "dotenv", "--proxy")
	for _, line := range []string{
		"POPKV_ENDPOINT=http://localhost:8080", "AWS_ENDPOINT_URL_CLOUDFRONT=http://localhost:8080",
		"AWS_ENDPOINT_URL_CLOUDFRONT_KEYVALUESTORE=http://localhost:8080", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_SESSION_TOKEN=", "HTTP_PROXY=http://localhost:8080", "AWS_DEFAULT_REGION=us-east-1", "# AWS_PROFILE: not set",
	} {
		if !strings.Contains("\n"+got.stdout, "\n"+line+"\n") {
			t.Errorf("no line %s in %s", line, got.stdout)
		}
	}
}

func TestEnvFollowsTheServersSettings(t *testing.T) {
	got := runApp(t, []string{"POPKV_LISTEN=0.0.0.0:9000"}, "", "env", "--shell", "sh")
	if !strings.Contains(got.stdout, "export POPKV_ENDPOINT='http://localhost:9000'\n") {
		t.Error(got.stdout)
	}
	got = runApp(t, []string{"POPKV_ENDPOINT=https://kvs.example.com"}, "", "env", "--shell", "fish")
	if !strings.Contains(got.stdout, "set -gx POPKV_ENDPOINT 'https://kvs.example.com'\n") {
		t.Error(got.stdout)
	}
}

// In a shell with a profile some clients would sign with that one's key.
func TestEnvTakesTheProfileAway(t *testing.T) {
	for shell, want := range map[string]string{"sh": "unset AWS_PROFILE", "fish": "set -e AWS_PROFILE", "powershell": "$env:AWS_PROFILE = $null"} {
		if got := runApp(t, nil, "", "env", "--shell", shell); !strings.Contains("\n"+got.stdout, "\n"+want+"\n") {
			t.Errorf("%s: no line %s in %s", shell, want, got.stdout)
		}
	}
}

func TestEnvNeverPrintsASecretOfYourOwn(t *testing.T) {
	for _, name := range []string{"POPKV_", "POPKV_ROOT_"} {
		environ := []string{name + "ACCESS_KEY_ID=AKID", name + "SECRET_ACCESS_KEY=hunter2"}
		for shell, want := range map[string]string{
			"sh": `export AWS_SECRET_ACCESS_KEY="$` + name + `SECRET_ACCESS_KEY"`, "fish": "set -gx AWS_SECRET_ACCESS_KEY $" + name + "SECRET_ACCESS_KEY",
			"powershell": "$env:AWS_SECRET_ACCESS_KEY = $env:" + name + "SECRET_ACCESS_KEY", "dotenv": "# AWS_SECRET_ACCESS_KEY: the value of " + name + "SECRET_ACCESS_KEY",
		} {
			got := runApp(t, environ, "", "env", "--shell", shell)
			if strings.Contains(got.stdout+got.stderr, "hunter2") || !strings.Contains(got.stdout, want+"\n") {
				t.Errorf("%s: %s", shell, got.stdout)
			}
		}
	}
}

func TestEnvLinesSurviveTheShell(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh on this machine")
	}
	const value = `it's $HOME "and" \ more`
	v := variable{name: "X", value: value}
	out, err := exec.Command(sh, "-c", v.line("sh")+"\n"+`printf %s "$X"`).Output()
	if err != nil || string(out) != value {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestShellIsDetected(t *testing.T) {
	for shell, want := range map[string]string{"/bin/bash": "sh", "/usr/bin/fish": "fish", "/usr/bin/pwsh": "powershell", "/bin/zsh": "sh"} {
		if got := (&app{environ: []string{"SHELL=" + shell}}).detectShell(); got != want {
			t.Errorf("%s: %s", shell, got)
		}
	}
}
