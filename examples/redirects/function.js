// Redirects from the store. A key is a path without slash at the end, or a
// path with a wildcard as its last step:
//
//   /old        /new                    302, the default
//   /older      301 /new                or 302, 307, 308
//   /gone       410
//   /blog/*     301 /articles/*         * takes along what it stands for
import cf from 'cloudfront';

const kvs = cf.kvs();

const MAX_KEY_BYTES = 512; // a store has no longer keys
const MAX_WILDCARDS = 4; // reads beside the exact one, so wildcards are at most this deep

const DESCRIPTIONS = {
    301: 'Moved Permanently',
    302: 'Found',
    307: 'Temporary Redirect',
    308: 'Permanent Redirect',
    410: 'Gone',
};

async function handler(event) {
    const request = event.request;
    let rule;
    try {
        rule = await find(request.uri);
    } catch (e) {
        // A site without its redirects is better than no site.
        console.log('no redirect for ' + request.uri + ': ' + e.message);
        return request;
    }
    if (!rule || rule.target === request.uri) {
        return request;
    }
    const response = {
        statusCode: rule.status,
        statusDescription: DESCRIPTIONS[rule.status],
        headers: { 'cache-control': { value: 'max-age=3600' } }, // browsers keep a 301 for ever otherwise
    };
    if (rule.status !== 410) {
        response.headers.location = { value: withQuery(rule.target, request.rawQueryString()) };
    }
    return response;
}

// find returns the rule for a path, the longest wildcard first, or null.
async function find(uri) {
    const path = uri.length > 1 && uri.endsWith('/') ? uri.slice(0, -1) : uri;
    const exact = path.endsWith('*') ? null : await read(path);
    if (exact !== null) {
        return parse(exact, '');
    }
    const ends = [];
    for (let i = path.indexOf('/'); i >= 0 && ends.length < MAX_WILDCARDS; i = path.indexOf('/', i + 1)) {
        ends.push(i + 1);
    }
    while (ends.length > 0) {
        const end = ends.pop();
        const value = await read(path.slice(0, end) + '*');
        if (value !== null) {
            return parse(value, uri.slice(end));
        }
    }
    return null;
}

// read returns the value of a key, or null if the store does not have it.
async function read(key) {
    if (Buffer.byteLength(key) > MAX_KEY_BYTES) {
        return null;
    }
    try {
        const value = await kvs.get(key);
        return value;
    } catch (e) {
        if (String(e).includes('KeyNotFound')) {
            return null;
        }
        throw e;
    }
}

// parse reads a value; rest is what the wildcard of its key stands for.
function parse(value, rest) {
    const match = /^(?:(30[1278]|410)(?: |$))?(.*)$/.exec(value);
    const status = match[1] ? Number(match[1]) : 302;
    if (status !== 410 && !/^(https:\/\/[\w.:-]+)?\/(?![/\\])/.test(match[2])) {
        throw new Error('not a rule: ' + value);
    }
    // The rest comes from the viewer. A slash or backslash in front of it would
    // make "/*" a redirect to any host that the viewer likes. And replace()
    // would give a meaning to the $ in it.
    return { status: status, target: match[2].split('*').join(rest.replace(/^[/\\]+/, '')) };
}

// withQuery hands the query string on, before the fragment.
function withQuery(target, query) {
    if (!query) {
        return target;
    }
    const hash = target.indexOf('#');
    const base = hash < 0 ? target : target.slice(0, hash);
    const fragment = hash < 0 ? '' : target.slice(hash);
    return base + (base.includes('?') ? '&' : '?') + query + fragment;
}
