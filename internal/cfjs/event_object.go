package cfjs

import "github.com/grafana/sobek"

// eventObject builds the argument of the handler.
func (inv *invocation) eventObject() *sobek.Object {
	e := inv.event
	o := inv.vm.NewObject()
	set(o, "version", e.Version)
	set(o, "context", inv.contextObject(&e.Context))
	viewer := inv.vm.NewObject()
	set(viewer, "ip", e.ViewerIP)
	set(o, "viewer", viewer)
	set(o, "request", inv.requestObject(&e.Request))
	if e.Response != nil {
		set(o, "response", inv.responseObject(e.Response))
	}
	return o
}

func set(o *sobek.Object, name string, value any) { _ = o.Set(name, value) }

func setText(o *sobek.Object, name, value string) {
	if value != "" {
		set(o, name, value)
	}
}

func (inv *invocation) contextObject(c *Context) *sobek.Object {
	o := inv.vm.NewObject()
	setText(o, "distributionDomainName", c.DistributionDomainName)
	setText(o, "endpoint", c.Endpoint)
	setText(o, "distributionId", c.DistributionID)
	set(o, "eventType", string(c.EventType))
	setText(o, "requestId", c.RequestID)
	return o
}

func (inv *invocation) requestObject(q *Request) *sobek.Object {
	o := inv.vm.NewObject()
	set(o, "method", q.Method)
	set(o, "uri", q.URI)
	set(o, "querystring", inv.fieldsObject(q.Query, false))
	set(o, "headers", inv.fieldsObject(q.Headers, false))
	set(o, "cookies", inv.fieldsObject(q.Cookies, false))
	if inv.program.runtime == Runtime20 && inv.program.features.reaches("rawQueryString") {
		raw := sobek.Undefined()
		if q.RawQuery != nil {
			raw = inv.vm.ToValue(*q.RawQuery)
		}
		method := inv.function(func(sobek.FunctionCall) sobek.Value { return raw })
		_ = o.DefineDataProperty("rawQueryString", method, sobek.FLAG_TRUE, sobek.FLAG_TRUE, sobek.FLAG_FALSE)
	}
	return o
}

func (inv *invocation) responseObject(p *Response) *sobek.Object {
	o := inv.vm.NewObject()
	set(o, "statusCode", p.StatusCode)
	setText(o, "statusDescription", p.StatusDescription)
	set(o, "headers", inv.fieldsObject(p.Headers, false))
	set(o, "cookies", inv.fieldsObject(p.Cookies, true))
	if p.Body != nil {
		body := inv.vm.NewObject()
		set(body, "encoding", p.Body.Encoding)
		set(body, "data", p.Body.Data)
		set(o, "body", body)
	}
	return o
}

func (inv *invocation) fieldsObject(fs Fields, attributes bool) *sobek.Object {
	o := inv.vm.NewObject()
	for i := range fs {
		f := &fs[i]
		entry := inv.valueObject(f.Value, attributes)
		if f.Multi != nil {
			values := make([]any, len(f.Multi))
			for j, v := range f.Multi {
				values[j] = inv.valueObject(v, attributes)
			}
			set(entry, "multiValue", inv.vm.NewArray(values...))
		}
		set(o, f.Name, entry)
	}
	return o
}

func (inv *invocation) valueObject(v Value, attributes bool) *sobek.Object {
	o := inv.vm.NewObject()
	set(o, "value", v.Text)
	if attributes && v.Attributes != "" {
		set(o, "attributes", v.Attributes)
	}
	return o
}
