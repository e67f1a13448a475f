package kvsapi

import (
	"net/http"

	"github.com/popkv/popkv"
)

// An errorRow is how one kind of failure looks on this wire.
type errorRow struct {
	status int
	name   string
	// framework errors are not in the service's model: the member of their
	// message is spelled `message`.
	framework bool
	// text, if set, is all that a client is told.
	text string
}

// errorTable has a row for every kind; a test proves it. Names and statuses
// of modelled errors are documented, those of the framework assumed after
// other AWS JSON services (docs/operations). Kinds that belong to the control
// plane are a bug of ours when they get here.
var errorTable = [...]errorRow{
	popkv.Internal:             internalError,
	popkv.Invalid:              {status: 400, name: "ValidationException"},
	popkv.Malformed:            {status: 400, name: "SerializationException", framework: true},
	popkv.UnknownOperation:     {status: 404, name: "UnknownOperationException", framework: true},
	popkv.UnsupportedMediaType: {status: 415, name: "UnsupportedMediaTypeException", framework: true},
	popkv.NotAcceptable:        {status: 406, name: "NotAcceptableException", framework: true},
	popkv.TooLarge:             {status: 413, name: "RequestEntityTooLargeException", framework: true},
	popkv.KeyNotFound:          {status: 404, name: "ResourceNotFoundException"},
	popkv.StoreNotFound:        {status: 404, name: "ResourceNotFoundException"},
	popkv.FunctionNotFound:     internalError,
	popkv.ResourceNotFound:     internalError,
	popkv.StoreExists:          internalError,
	popkv.FunctionExists:       internalError,
	popkv.WrongState:           {status: 409, name: "ConflictException"},
	popkv.StaleETag:            {status: 400, name: "ValidationException"},
	popkv.BadETag:              {status: 400, name: "ValidationException"},
	popkv.StoreInUse:           internalError,
	popkv.FunctionInUse:        internalError,
	popkv.ItemQuota:            {status: 402, name: "ServiceQuotaExceededException"},
	popkv.StoreCountQuota:      internalError,
	popkv.FunctionCountQuota:   internalError,
	popkv.FunctionSizeQuota:    internalError,
	popkv.ImportSizeQuota:      internalError,
	popkv.Throttled:            {status: 429, name: "ThrottlingException", framework: true},
	popkv.InvalidTag:           internalError,
	popkv.Unsupported:          internalError,
	popkv.TestFailed:           internalError,
	popkv.Denied:               {status: 403, name: "AccessDeniedException"},
	popkv.NoCredentials:        {status: 403, name: "MissingAuthenticationTokenException", framework: true},
	popkv.BadAuthorization:     {status: 400, name: "IncompleteSignatureException", framework: true},
	popkv.BadScope:             {status: 403, name: "InvalidSignatureException", framework: true},
	popkv.Unauthenticated:      {status: 403, name: "AccessDeniedException", text: "Authentication failed"},
	popkv.Unavailable:          {status: 500, name: "InternalServerException"},
}

var internalError = errorRow{status: 500, name: "InternalServerException"}

// rowOf returns the row of err's kind.
func (h *Handler) rowOf(err error) errorRow {
	kind := popkv.KindOf(err)
	if kind < 0 || int(kind) >= len(errorTable) {
		return internalError
	}
	if kind == popkv.StaleETag && h.staleConflict {
		return errorRow{status: http.StatusConflict, name: "ConflictException"}
	}
	return errorTable[kind]
}
