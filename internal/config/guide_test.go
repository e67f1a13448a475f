package config

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite generated files")

func TestGuideIsCurrent(t *testing.T) {
	const path = "../../docs/guide/configuration.md"
	if *update {
		if err := os.WriteFile(path, []byte(Guide()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Guide(), string(text)); diff != "" {
		t.Errorf("the guide is stale: run go test -run TestGuide -update\n%s", diff)
	}
}
