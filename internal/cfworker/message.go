package cfworker

import (
	"time"

	"github.com/popkv/popkv/internal/cfjs"
)

// A setup is the payload of frameSetup.
type setup struct {
	budget, hardLimit, wallLimit time.Duration
	fuse                         time.Duration // processor time of a call after which the process ends
	heapBytes                    int64         // by which the heap may grow during a run
	memoryBytes                  int64         // of the process
	edge                         *cfjs.EdgeLocation
}

func (s *setup) code(c *codec) {
	c.duration(&s.budget)
	c.duration(&s.hardLimit)
	c.duration(&s.wallLimit)
	c.duration(&s.fuse)
	c.int64(&s.heapBytes)
	c.int64(&s.memoryBytes)
	optional(c, &s.edge, func(c *codec, e *cfjs.EdgeLocation) {
		c.text(&e.Name)
		c.text(&e.ServerIP)
		c.text(&e.Region)
	})
}

// A request is the payload of frameCall.
type request struct {
	hash    programHash
	runtime cfjs.Runtime
	now     time.Time
	store   *storeInfo // nil without a store
	event   cfjs.Event
}

// A storeInfo is what a worker knows of the store beside its items.
type storeInfo struct {
	about cfjs.StoreMeta
	count int
}

func (r *request) code(c *codec) {
	c.hash(&r.hash)
	c.text((*string)(&r.runtime))
	c.time(&r.now)
	optional(c, &r.store, func(c *codec, s *storeInfo) {
		c.text(&s.about.ID)
		c.time(&s.about.Created)
		c.time(&s.about.LastUpdated)
		c.int(&s.count)
	})
	codeEvent(c, &r.event)
}

func codeEvent(c *codec, e *cfjs.Event) {
	c.text(&e.Version)
	c.text(&e.Context.DistributionDomainName)
	c.text(&e.Context.Endpoint)
	c.text(&e.Context.DistributionID)
	c.text((*string)(&e.Context.EventType))
	c.text(&e.Context.RequestID)
	c.text(&e.ViewerIP)
	codeRequest(c, &e.Request)
	optional(c, &e.Response, codeResponse)
}

func codeRequest(c *codec, q *cfjs.Request) {
	c.text(&q.Method)
	c.text(&q.URI)
	optional(c, &q.RawQuery, (*codec).text)
	codeFields(c, &q.Query)
	codeFields(c, &q.Headers)
	codeFields(c, &q.Cookies)
}

func codeResponse(c *codec, p *cfjs.Response) {
	c.int(&p.StatusCode)
	c.text(&p.StatusDescription)
	codeFields(c, &p.Headers)
	codeFields(c, &p.Cookies)
	optional(c, &p.Body, func(c *codec, b *cfjs.Body) {
		c.text(&b.Encoding)
		c.text(&b.Data)
	})
}

func codeFields(c *codec, fs *cfjs.Fields) {
	list(c, (*[]cfjs.Field)(fs), func(c *codec, f *cfjs.Field) {
		c.text(&f.Name)
		codeValue(c, &f.Value)
		list(c, &f.Multi, codeValue)
	})
}

func codeValue(c *codec, v *cfjs.Value) {
	c.text(&v.Text)
	c.text(&v.Attributes)
}

// codeResult describes the payload of frameResult.
func codeResult(c *codec, r *cfjs.Result) {
	optional(c, &r.Request, codeRequest)
	optional(c, &r.Response, codeResponse)
	optional(c, &r.Origin, codeOrigin)
	list(c, &r.Logs, (*codec).text)
	c.duration(&r.CPU)
	c.int((*int)(&r.Failure))
	c.bool(&r.Exceeded)
	c.text(&r.ErrorMessage)
	c.int(&r.ComputeUtilization)
}

func codeOrigin(c *codec, o *cfjs.OriginChange) {
	optional(c, &o.Update, codeOriginUpdate)
	optional(c, &o.Select, codeOriginSelection)
	optional(c, &o.Group, func(c *codec, g *cfjs.OriginGroup) {
		for i := range g.Origins {
			codeOriginSelection(c, &g.Origins[i])
		}
		c.text(&g.SelectionCriteria)
		list(c, &g.StatusCodes, (*codec).int)
	})
}

func codeOriginSelection(c *codec, s *cfjs.OriginSelection) {
	c.text(&s.ID)
	optional(c, &s.HostHeader, (*codec).text)
	optional(c, &s.SNI, (*codec).text)
	list(c, &s.AllowedCertificateNames, (*codec).text)
}

func codeOriginUpdate(c *codec, u *cfjs.OriginUpdate) {
	optional(c, &u.DomainName, (*codec).text)
	optional(c, &u.HostHeader, (*codec).text)
	optional(c, &u.OriginPath, (*codec).text)
	c.texts(&u.CustomHeaders)
	optional(c, &u.ConnectionAttempts, (*codec).int)
	optional(c, &u.OriginShield, func(c *codec, s *cfjs.OriginShield) {
		c.bool(&s.Enabled)
		c.text(&s.Region)
	})
	optional(c, &u.AccessControl, func(c *codec, a *cfjs.OriginAccessControl) {
		c.bool(&a.Enabled)
		c.text(&a.SigningBehavior)
		c.text(&a.SigningProtocol)
		c.text(&a.OriginType)
	})
	optional(c, &u.Timeouts, func(c *codec, t *cfjs.OriginTimeouts) {
		c.int(&t.ReadTimeout)
		c.int(&t.ResponseCompletionTimeout)
		c.int(&t.KeepAliveTimeout)
		c.int(&t.ConnectionTimeout)
	})
	optional(c, &u.CustomOrigin, func(c *codec, o *cfjs.CustomOrigin) {
		c.int(&o.Port)
		c.text(&o.Protocol)
		list(c, &o.SSLProtocols, (*codec).text)
		c.text(&o.IPAddressType)
	})
	optional(c, &u.SNI, (*codec).text)
	list(c, &u.AllowedCertificateNames, (*codec).text)
	optional(c, &u.MutualTLS, (*codec).text)
}
