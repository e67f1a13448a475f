package cfapi

import (
	"context"
	"net/http"

	"github.com/popkv/popkv/internal/access"
)

// A Gate says who signed a request, and what they may do. [*access.Gate] is
// one.
type Gate interface {
	// Admit verifies the signature over the request, whose body it reads, at
	// most maxBody bytes of it. The admission must be released.
	Admit(r *http.Request, service string, maxBody int64) (*access.Admission, error)
	// Authorize fails with [popkv.Denied] unless a policy allows the admitted
	// caller the action on the resource. tags is asked only if a policy needs
	// the resource's tags.
	Authorize(ctx context.Context, a *access.Admission, action, resourceARN string, tags func() (map[string]string, error)) error
}
