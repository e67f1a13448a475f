package cfworker

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if ran, code := Main(); ran {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}
