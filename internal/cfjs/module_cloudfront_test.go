package cfjs

import "testing"

func TestEdgeLocation(t *testing.T) {
	o := Options{Edge: &EdgeLocation{Name: "FRA", ServerIP: "192.0.2.1", Region: "eu-central-1"}}
	const code = `console.log(cf.edgeLocation);`
	if got := printed(t, Runtime20, code, nil, o); got != "{name:'FRA',serverIp:'192.0.2.1',region:'eu-central-1'}" {
		t.Errorf("at an edge: %s", got)
	}
	if got := printed(t, Runtime20, code, nil, Options{}); got != "{}" {
		t.Errorf("elsewhere: %s", got)
	}
}

func TestModulesAreSingletons(t *testing.T) {
	checkPrinted(t, Runtime20, nil, []printCase{
		{`crypto === require('crypto')`, "true"},
		{`buffer.Buffer === Buffer`, "true"},
		{`(function () { try { require('cloudfront') } catch (e) { return String(e) } })()`, `Error: Cannot find module "cloudfront"`},
		{`(function () { try { require('fs') } catch (e) { return String(e) } })()`, `Error: Cannot find module "fs"`},
	})
	checkPrinted(t, Runtime10, nil, []printCase{
		{`typeof require('querystring').parse`, "function"},
		{`(function () { try { require('buffer') } catch (e) { return String(e) } })()`, `Error: Cannot find module "buffer"`},
	})
}
