package cfjs

import (
	"github.com/grafana/sobek"
)

// cloudfrontMethods: the functions of `import cf from 'cloudfront'`.
func cloudfrontMethods() map[string]hostMethod {
	return map[string]hostMethod{
		"kvs":                      (*invocation).openKVS,
		"updateRequestOrigin":      (*invocation).updateRequestOrigin,
		"selectRequestOriginById":  (*invocation).selectRequestOrigin,
		"createRequestOriginGroup": (*invocation).createOriginGroup,
	}
}

func (inv *invocation) cloudfront() *sobek.Object {
	inv.promises = inv.newPromiseMaker()
	cf := inv.install(inv.vm.NewObject(), inv.program.tables.cloudfront)
	if inv.program.features.reaches("edgeLocation") {
		set(cf, "edgeLocation", inv.edgeLocation())
	}
	return cf
}

// edgeLocation is empty in a viewer-response event (documented).
func (inv *invocation) edgeLocation() *sobek.Object {
	o := inv.vm.NewObject()
	if e := inv.options.Edge; e != nil && inv.event.Context.EventType == ViewerRequest {
		set(o, "name", e.Name)
		set(o, "serverIp", e.ServerIP)
		set(o, "region", e.Region)
	}
	return o
}
