package kvsapi

import (
	"context"
	"net/http"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/dataplane"
)

// service is the name that requests are signed for and that begins the names
// of actions in policies.
const service = "cloudfront-keyvaluestore"

// An Admission is a verified request.
type Admission = access.Admission

// A Gate says who signed a request and whether their policies allow what it
// asks for. *access.Gate is the one implementation.
type Gate interface {
	// Admit verifies r and returns what was verified; nothing else of r but
	// its headers may be used afterwards.
	Admit(r *http.Request, service string, maxBody int64) (*Admission, error)
	// Authorize fails with [popkv.Denied] unless the caller's policies allow
	// action on the resource.
	Authorize(ctx context.Context, a *Admission, action, resourceARN string, tags func() (map[string]string, error)) error
}

// authorize returns the store that the route names if the caller may use the
// operation on it. A host label that names another account than the ARN is
// refused (assumed), as is an ARN of another account. Policies see the ARN in
// its canonical spelling, so that upper-case digits are no way around them.
func (h *Handler) authorize(r *http.Request, admitted *Admission, route route) (dataplane.Target, error) {
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
		return h.tags(r.Context(), target.Store)
	}
	err = h.gate.Authorize(r.Context(), admitted, service+":"+route.operation, target.ARN().String(), tags)
	return target, err
}
