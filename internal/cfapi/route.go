package cfapi

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/popkv/popkv"
)

// version begins every path of the control plane.
const version = "/2020-05-31/"

// An operation is one call of the API.
type operation struct {
	name string // as AWS names it; also in policies
	run  func(c *call) (*response, error)
}

// A route is what a request's method and path mean.
type route struct {
	operation
	name string // the path's name label as sent, still escaped
}

// find returns the route of a method and a raw path, which is never cleaned; a
// trailing slash makes no difference, because older clients send one.
func find(method, path string) (route, error) {
	unknown := popkv.Errorf(popkv.UnknownOperation, "there is no operation at this path with this method")
	if path == "/" && (method == http.MethodPost || method == http.MethodGet) {
		return route{operation: operation{"GetCallerIdentity", getCallerIdentity}}, nil
	}
	rest, ok := strings.CutPrefix(path, version)
	if !ok {
		return route{}, unknown
	}
	labels := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	r := route{}
	if len(labels) > 1 {
		if r.name = labels[1]; r.name == "" {
			return route{}, unknown
		}
		labels[1] = "{Name}"
	}
	switch method + " " + strings.Join(labels, "/") {
	case "POST key-value-store":
		r.operation = operation{"CreateKeyValueStore", createStore}
	case "GET key-value-store":
		r.operation = operation{"ListKeyValueStores", listStores}
	case "GET key-value-store/{Name}":
		r.operation = operation{"DescribeKeyValueStore", describeStore}
	case "PUT key-value-store/{Name}":
		r.operation = operation{"UpdateKeyValueStore", updateStore}
	case "DELETE key-value-store/{Name}":
		r.operation = operation{"DeleteKeyValueStore", deleteStore}
	case "POST function":
		r.operation = operation{"CreateFunction", createFunction}
	case "GET function":
		r.operation = operation{"ListFunctions", listFunctions}
	case "GET function/{Name}":
		r.operation = operation{"GetFunction", getFunction}
	case "PUT function/{Name}":
		r.operation = operation{"UpdateFunction", updateFunction}
	case "DELETE function/{Name}":
		r.operation = operation{"DeleteFunction", deleteFunction}
	case "GET function/{Name}/describe":
		r.operation = operation{"DescribeFunction", describeFunction}
	case "POST function/{Name}/publish":
		r.operation = operation{"PublishFunction", publishFunction}
	case "POST function/{Name}/test":
		r.operation = operation{"TestFunction", testFunction}
	case "GET tagging":
		r.operation = operation{"ListTagsForResource", listTags}
	case "POST tagging":
		r.operation = operation{"TagResource", changeTags} // or UntagResource: the query says
	default:
		return route{}, unknown
	}
	return r, nil
}

// rawPath returns the path of the request target as it was sent.
func rawPath(r *http.Request) string {
	target, _, _ := strings.Cut(r.RequestURI, "?")
	if strings.HasPrefix(target, "/") {
		return target
	}
	_, rest, _ := strings.Cut(target, "://")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return "/"
}

// unescape reads a label of the path, once.
func unescape(label string) (string, error) {
	s, err := url.PathUnescape(label)
	if err != nil {
		return "", popkv.Wrap(popkv.Invalid, err, "the path has a bad percent escape")
	}
	return s, nil
}
