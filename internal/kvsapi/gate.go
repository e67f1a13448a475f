package kvsapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/dataplane"
)

// A Gate says who signed a request, and what they may do. *access.Gate is one.
type Gate interface {
	// Admit verifies the signature over the request, whose body it reads, at
	// most maxBody bytes of it. The admission must be released.
	Admit(r *http.Request, service string, maxBody int64) (*access.Admission, error)
	// Authorize fails with [popkv.Denied] unless a policy allows the admitted
	// caller the action on the resource. tags is asked only if a policy needs
	// the resource's tags.
	Authorize(ctx context.Context, a *access.Admission, action, resourceARN string, tags func() (map[string]string, error)) error
}

// authorize returns the store that the route names if the caller may use the
// operation on it. A host label that names another account than the ARN is
// refused (assumed), as is an ARN of another account. Policies see the ARN in
// its canonical spelling, so that upper-case digits in the id, the one liberty
// of an ARN that can be parsed, are no way around them.
func (h *Handler) authorize(r *http.Request, admitted *access.Admission, route route) (dataplane.Target, error) {
	arn, err := popkv.ParseARN(route.arn)
	if err != nil {
		return dataplane.Target{}, err
	}
	if admitted.HostAccount != "" && admitted.HostAccount != arn.Account {
		return dataplane.Target{}, popkv.Errorf(popkv.Denied, "the host names another account than the ARN")
	}
	target, err := h.rules.Open(admitted.Caller, arn)
	if err != nil {
		return dataplane.Target{}, err
	}
	tags := func() (map[string]string, error) {
		if h.tags == nil {
			return nil, nil
		}
		return h.tags(r.Context(), target.ARN())
	}
	resource := route.arn
	if strings.ToLower(arn.Name) != arn.Name {
		resource = target.ARN().String()
	}
	err = h.gate.Authorize(r.Context(), admitted, string(route.operation), resource, tags)
	return target, err
}
