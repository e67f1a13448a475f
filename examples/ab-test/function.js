// An A/B test. The same code runs twice for each request: as viewer-request
// function it chooses the variant and rewrites the path, as viewer-response
// function it makes the choice stick in a cookie. The request header
// x-experiment carries the choice from one to the other, and to the origin.
//
// The key "experiment" holds
//
//   {"id": "checkout-2", "paths": ["/checkout"],
//    "variants": [{"name": "a", "weight": 50}, {"name": "b", "weight": 50, "prefix": "/b"}]}
import cf from 'cloudfront';
import crypto from 'crypto';

const kvs = cf.kvs();

const HEADER = 'x-experiment';
const COOKIE_ATTRIBUTES = 'Path=/; Max-Age=2592000; Secure; HttpOnly; SameSite=Lax';

async function handler(event) {
    return event.context.eventType === 'viewer-request' ? assign(event) : remember(event);
}

async function assign(event) {
    const request = event.request;
    delete request.headers[HEADER]; // a viewer may send one too
    let experiment;
    try {
        experiment = await kvs.get('experiment', { format: 'json' });
    } catch (e) {
        console.log('no experiment: ' + e.message);
        return request;
    }
    if (!experiment.paths.some(path => request.uri === path || request.uri.startsWith(path + '/'))) {
        return request;
    }
    // The request's id is as good as a random number, and a test can fix it.
    const variant = known(experiment.variants, request.cookies[cookieName(experiment.id)]) ||
        choose(experiment.variants, experiment.id + ':' + event.context.requestId);
    request.headers[HEADER] = { value: experiment.id + '=' + variant.name };
    request.uri = (variant.prefix || '') + request.uri;
    return request;
}

function remember(event) {
    const response = event.response;
    const header = event.request.headers[HEADER];
    if (!header) {
        return response;
    }
    const parts = header.value.split('=');
    const name = cookieName(parts[0]);
    const cookie = event.request.cookies[name];
    if (!cookie || cookie.value !== parts[1]) {
        response.cookies[name] = { value: parts[1], attributes: COOKIE_ATTRIBUTES };
    }
    return response;
}

function cookieName(id) {
    return 'ab-' + id;
}

// known returns the variant that the viewer has already, or undefined. A cookie
// may come several times, and may name a variant that is no more.
function known(variants, cookie) {
    if (!cookie) {
        return undefined;
    }
    const values = (cookie.multiValue || [cookie]).map(v => v.value);
    return variants.find(v => v.name === values.find(value => variants.some(w => w.name === value)));
}

// choose draws a variant by the weights. If all are 0 it is the first, so that
// an experiment can be stopped for new viewers.
function choose(variants, seed) {
    const hash = crypto.createHash('sha256').update(seed).digest('hex');
    const total = variants.reduce((sum, v) => sum + v.weight, 0);
    let n = parseInt(hash.slice(0, 8), 16) % total;
    for (let i = 0; i < variants.length; i++) {
        n -= variants[i].weight;
        if (n < 0) {
            return variants[i];
        }
    }
    return variants[0];
}
