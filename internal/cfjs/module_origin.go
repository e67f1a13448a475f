package cfjs

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/grafana/sobek"
)

// The origin helpers of the cloudfront module (documented; viewer-request
// only). What they are given is checked when they are called; a rule that is
// broken fails the request afterwards, whatever the function then does, as a
// validation error (observed for one rule, assumed for the others).

func (inv *invocation) updateRequestOrigin(c sobek.FunctionCall) sobek.Value {
	return inv.originCall("updateRequestOrigin", func(r *argumentReader) *OriginChange {
		return &OriginChange{Update: r.originUpdate(r.object(c.Argument(0), "argument"), inv.event.Request.Headers)}
	})
}

func (inv *invocation) selectRequestOrigin(c sobek.FunctionCall) sobek.Value {
	return inv.originCall("selectRequestOriginById", func(r *argumentReader) *OriginChange {
		s := &OriginSelection{}
		if !sobek.IsString(c.Argument(0)) || c.Argument(0).String() == "" {
			r.fail("originId", "must be a string")
		} else {
			s.ID = c.Argument(0).String()
		}
		if present(c.Argument(1)) {
			r.overrides(s, r.object(c.Argument(1), "originOverrides"))
		}
		return &OriginChange{Select: s}
	})
}

func (inv *invocation) createOriginGroup(c sobek.FunctionCall) sobek.Value {
	return inv.originCall("createRequestOriginGroup", func(r *argumentReader) *OriginChange {
		return &OriginChange{Group: r.originGroup(r.object(c.Argument(0), "argument"))}
	})
}

func (inv *invocation) originCall(name string, read func(*argumentReader) *OriginChange) sobek.Value {
	r := &argumentReader{call: name}
	if inv.event.Context.EventType != ViewerRequest {
		r.fail("", "can be called in a viewer-request function only")
	} else {
		inv.origin = read(r)
	}
	if inv.originFault == "" {
		inv.originFault = r.fault
	}
	return sobek.Undefined()
}

// An argumentReader reads members of an argument and keeps the first fault.
type argumentReader struct{ call, fault string }

func (r *argumentReader) fail(path, rule string) {
	if r.fault != "" {
		return
	}
	if path != "" {
		path = "." + path
	}
	r.fault = errInvalid(r.call+path, rule)
}

// object returns v, or an empty object after noting that it is none.
func (r *argumentReader) object(v sobek.Value, path string) reader {
	o, ok := v.(*sobek.Object)
	if !ok {
		r.fail(path, "must be an object")
	}
	return reader{r, o, strings.TrimPrefix(path+".", "argument.")}
}

// A reader reads the members of one object.
type reader struct {
	*argumentReader
	o    *sobek.Object
	path string
}

func (r reader) get(name string) sobek.Value {
	if r.o == nil {
		return nil
	}
	return r.o.Get(name)
}

func (r reader) has(name string) bool { return present(r.get(name)) }

func (r reader) child(name string) reader {
	return r.object(r.get(name), r.path+name)
}

func (r reader) text(name string) string {
	v := r.get(name)
	if !present(v) {
		return ""
	}
	if !sobek.IsString(v) {
		r.fail(r.path+name, "must be a string")
		return ""
	}
	return v.String()
}

func (r reader) optionalText(name string) *string {
	if !r.has(name) {
		return nil
	}
	s := r.text(name)
	return &s
}

func (r reader) oneOf(name string, choices ...string) string {
	s := r.text(name)
	for _, c := range choices {
		if s == c {
			return s
		}
	}
	if r.has(name) {
		r.fail(r.path+name, "must be one of "+strings.Join(choices, ", "))
	}
	return ""
}

func (r reader) integer(name string, low, high int) int {
	v := r.get(name)
	if !present(v) {
		return 0
	}
	n := v.ToInteger()
	if !sobek.IsNumber(v) || v.ToFloat() != float64(n) || n < int64(low) || n > int64(high) {
		r.fail(r.path+name, "must be an integer from "+strconv.Itoa(low)+" to "+strconv.Itoa(high))
		return 0
	}
	return int(n)
}

func (r reader) flag(name string) bool {
	v := r.get(name)
	return present(v) && v.ToBoolean()
}

func (r reader) texts(name string) []string {
	if !r.has(name) {
		return nil
	}
	list := []string{}
	for _, v := range r.elements(name) {
		if !sobek.IsString(v) {
			r.fail(r.path+name, "must be an array of strings")
			return nil
		}
		list = append(list, v.String())
	}
	return list
}

func (r reader) elements(name string) []sobek.Value {
	o, ok := r.get(name).(*sobek.Object)
	if !ok || !isArray(o) {
		r.fail(r.path+name, "must be an array")
		return nil
	}
	var list []sobek.Value
	for _, index := range o.Keys() {
		list = append(list, o.Get(index))
	}
	return list
}

func (r *argumentReader) originUpdate(a reader, headers Fields) *OriginUpdate {
	u := &OriginUpdate{
		DomainName: a.optionalText("domainName"), HostHeader: a.optionalText("hostHeader"), OriginPath: a.optionalText("originPath"),
		SNI: a.optionalText("sni"), AllowedCertificateNames: a.certificateNames(),
	}
	if u.DomainName != nil && !isOriginDomain(*u.DomainName) {
		r.fail("domainName", "must be a domain name of at most 253 characters without a port")
	}
	if a.has("connectionAttempts") {
		n := a.integer("connectionAttempts", 1, 3)
		u.ConnectionAttempts = &n
	}
	if a.has("mTLSConfig") {
		s := a.oneOf("mTLSConfig", "inherit", "off")
		u.MutualTLS = &s
	}
	r.originParts(u, a)
	if a.has("customHeaders") {
		r.customHeaders(u, a.child("customHeaders"), headers)
	}
	if u.HostHeader != nil && u.AccessControl != nil && u.AccessControl.Enabled {
		r.fail("hostHeader", "cannot be set together with originAccessControlConfig")
	}
	return u
}

// originParts reads the members of an update that are objects.
func (r *argumentReader) originParts(u *OriginUpdate, a reader) {
	if a.has("originShield") {
		s := a.child("originShield")
		u.OriginShield = &OriginShield{Enabled: s.flag("enabled"), Region: s.text("region")}
	}
	if a.has("originAccessControlConfig") {
		s := a.child("originAccessControlConfig")
		u.AccessControl = &OriginAccessControl{
			Enabled:         s.flag("enabled"),
			SigningBehavior: s.oneOf("signingBehavior", "always", "never", "no-override"),
			SigningProtocol: s.oneOf("signingProtocol", "sigv4"),
			OriginType:      s.oneOf("originType", "s3", "mediapackagev2", "mediastore", "lambda"),
		}
	}
	if a.has("timeouts") {
		s := a.child("timeouts")
		u.Timeouts = &OriginTimeouts{
			ReadTimeout:               s.integer("readTimeout", 1, 120),
			ResponseCompletionTimeout: s.integer("responseCompletionTimeout", 1, 3600),
			KeepAliveTimeout:          s.integer("keepAliveTimeout", 1, 120),
			ConnectionTimeout:         s.integer("connectionTimeout", 1, 10),
		}
		if c := u.Timeouts.ResponseCompletionTimeout; c != 0 && c < u.Timeouts.ReadTimeout {
			r.fail("timeouts.responseCompletionTimeout", "must not be less than readTimeout")
		}
	}
	if a.has("customOriginConfig") {
		s := a.child("customOriginConfig")
		u.CustomOrigin = &CustomOrigin{
			Port: s.integer("port", 1, 65535), Protocol: s.oneOf("protocol", "http", "https"),
			SSLProtocols: s.texts("sslProtocols"), IPAddressType: s.text("ipAddressType"),
		}
	}
}

// customHeaders reads names and values; a name that the request has is refused
// (documented).
func (r *argumentReader) customHeaders(u *OriginUpdate, a reader, headers Fields) {
	u.CustomHeaders = map[string]string{}
	if a.o == nil {
		return
	}
	for _, name := range a.o.Keys() {
		u.CustomHeaders[name] = a.text(name)
		if _, taken := headers.Get(strings.ToLower(name)); taken {
			r.fail("customHeaders."+name, "is a header of the request")
		}
	}
}

func (r reader) certificateNames() []string {
	names := r.texts("allowedCertificateNames")
	if len(names) > 20 {
		r.fail(r.path+"allowedCertificateNames", "must have at most 20 names")
	}
	for _, n := range names {
		if len(n) > 64 {
			r.fail(r.path+"allowedCertificateNames", "must have names of at most 64 characters")
		}
	}
	return names
}

func (r *argumentReader) overrides(s *OriginSelection, a reader) {
	s.HostHeader, s.SNI = a.optionalText("hostHeader"), a.optionalText("sni")
	s.AllowedCertificateNames = a.certificateNames()
}

// originGroup: elements of originIds are strings or {originId, originOverrides};
// the guide shows both.
func (r *argumentReader) originGroup(a reader) *OriginGroup {
	g := &OriginGroup{SelectionCriteria: "default"}
	if a.has("selectionCriteria") {
		g.SelectionCriteria = a.oneOf("selectionCriteria", "default", "media-quality-score")
	}
	ids := a.elements("originIds")
	if len(ids) != 2 {
		r.fail("originIds", "must have two elements")
		return g
	}
	for i, id := range ids {
		if sobek.IsString(id) {
			g.Origins[i].ID = id.String()
			continue
		}
		e := r.object(id, "originIds")
		g.Origins[i].ID = e.text("originId")
		if e.has("originOverrides") {
			r.overrides(&g.Origins[i], e.child("originOverrides"))
		}
	}
	if g.Origins[0].ID == "" || g.Origins[1].ID == "" {
		r.fail("originIds", "must name two origins")
	}
	for _, v := range a.child("failoverCriteria").elements("statusCodes") {
		g.StatusCodes = append(g.StatusCodes, int(v.ToInteger()))
	}
	return g
}

// isOriginDomain: no port, no IP address, at most 253 characters; an S3 bucket's
// name is lower case and at most 128 (documented).
func isOriginDomain(name string) bool {
	if name == "" || len(name) > 253 || strings.ContainsAny(name, ": /") {
		return false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return false
	}
	if strings.Contains(name, ".s3.") && strings.HasSuffix(name, ".amazonaws.com") {
		return len(name) <= 128 && !hasUpper(name)
	}
	return true
}
