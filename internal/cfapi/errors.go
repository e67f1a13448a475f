package cfapi

import (
	"net/http"

	"github.com/popkv/popkv"
)

// A wireError is how a kind of failure looks on the control plane.
type wireError struct {
	status  int
	code    string
	message string // said instead of the error's own, where AWS's text is known
}

// The texts are observed, see docs/operations/update-key-value-store.md.
const (
	staleMessage     = "The request failed because it didn't meet the preconditions in one or more request-header fields."
	badETagMessage   = "The If-Match version is missing or not valid for the resource."
	internalMessage  = "CloudFront encountered an internal error. Please try again."
	throttledMessage = "Rate exceeded"
	signatureMessage = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)

// wireErrorOf is the one table from kinds to statuses and AWS names. Names
// that the service model lists are documented; those of authentication and of
// kinds that no operation here can return are assumed.
func wireErrorOf(kind popkv.Kind) wireError {
	switch kind {
	case popkv.Invalid:
		return wireError{status: http.StatusBadRequest, code: "InvalidArgument"}
	case popkv.Malformed:
		return wireError{status: http.StatusBadRequest, code: "MalformedXML"}
	case popkv.UnknownOperation:
		return wireError{status: http.StatusNotFound, code: "UnknownOperationException"}
	case popkv.UnsupportedMediaType:
		return wireError{status: http.StatusUnsupportedMediaType, code: "UnsupportedMediaType"}
	case popkv.NotAcceptable:
		return wireError{status: http.StatusNotAcceptable, code: "NotAcceptable"}
	case popkv.TooLarge:
		return wireError{status: http.StatusRequestEntityTooLarge, code: "RequestEntityTooLarge"}
	case popkv.KeyNotFound, popkv.ResourceNotFound:
		return wireError{status: http.StatusNotFound, code: "NoSuchResource"}
	case popkv.StoreNotFound:
		return wireError{status: http.StatusNotFound, code: "EntityNotFound"}
	case popkv.FunctionNotFound:
		return wireError{status: http.StatusNotFound, code: "NoSuchFunctionExists"}
	case popkv.StoreExists:
		return wireError{status: http.StatusConflict, code: "EntityAlreadyExists"}
	case popkv.FunctionExists:
		return wireError{status: http.StatusConflict, code: "FunctionAlreadyExists"}
	case popkv.WrongState, popkv.Unsupported:
		return wireError{status: http.StatusBadRequest, code: "UnsupportedOperation"}
	case popkv.StaleETag:
		return wireError{http.StatusPreconditionFailed, "PreconditionFailed", staleMessage}
	case popkv.BadETag:
		return wireError{http.StatusBadRequest, "InvalidIfMatchVersion", badETagMessage}
	case popkv.StoreInUse:
		return wireError{status: http.StatusConflict, code: "CannotDeleteEntityWhileInUse"}
	case popkv.FunctionInUse:
		return wireError{status: http.StatusConflict, code: "FunctionInUse"}
	case popkv.ItemQuota, popkv.StoreCountQuota:
		return wireError{status: http.StatusBadRequest, code: "EntityLimitExceeded"}
	case popkv.FunctionCountQuota:
		return wireError{status: http.StatusBadRequest, code: "TooManyFunctions"}
	case popkv.FunctionSizeQuota:
		return wireError{status: http.StatusRequestEntityTooLarge, code: "FunctionSizeLimitExceeded"}
	case popkv.ImportSizeQuota:
		return wireError{status: http.StatusRequestEntityTooLarge, code: "EntitySizeLimitExceeded"}
	case popkv.Throttled:
		return wireError{http.StatusBadRequest, "Throttling", throttledMessage}
	case popkv.InvalidTag:
		return wireError{status: http.StatusBadRequest, code: "InvalidTagging"}
	case popkv.TestFailed:
		return wireError{status: http.StatusInternalServerError, code: "TestFunctionFailed"}
	case popkv.Denied:
		return wireError{status: http.StatusForbidden, code: "AccessDenied"}
	case popkv.NoCredentials:
		return wireError{status: http.StatusForbidden, code: "MissingAuthenticationToken"}
	case popkv.BadAuthorization:
		return wireError{status: http.StatusBadRequest, code: "IncompleteSignature"}
	case popkv.BadScope:
		return wireError{status: http.StatusForbidden, code: "SignatureDoesNotMatch"}
	case popkv.Unauthenticated:
		return wireError{http.StatusForbidden, "SignatureDoesNotMatch", signatureMessage}
	case popkv.Unavailable:
		return wireError{status: http.StatusServiceUnavailable, code: "ServiceUnavailable"}
	case popkv.Internal:
		return wireError{http.StatusServiceUnavailable, "ServiceUnavailable", internalMessage}
	}
	return wireError{}
}

// stsErrorOf is the same for STS, whose protocol has a name of its own for an
// action that does not exist.
func stsErrorOf(kind popkv.Kind) wireError {
	switch kind {
	case popkv.UnknownOperation:
		return wireError{status: http.StatusBadRequest, code: "InvalidAction"}
	case popkv.Malformed, popkv.Invalid:
		return wireError{status: http.StatusBadRequest, code: "MalformedQueryString"}
	case popkv.Internal:
		return wireError{status: http.StatusInternalServerError, code: "InternalFailure"}
	}
	return wireErrorOf(kind)
}

// errorDocument is the body of a failed request, in the CloudFront namespace or
// in that of STS.
func errorDocument(space string, e wireError, message, requestID string) []byte {
	kind := "Sender"
	if e.status >= http.StatusInternalServerError {
		kind = "Receiver"
	}
	return document(space, "ErrorResponse", func(w *writer) {
		w.element("Error", func() {
			w.text("Type", kind)
			w.text("Code", e.code)
			w.text("Message", message)
		})
		w.text("RequestId", requestID)
	})
}
