// Sends a viewer to the pages of their country. The store has a key for each
// country, an upper-case ISO 3166-1 code, and "*" for all others:
//
//   DE      /de          the prefix of the pages
//   XX      451          not available there
//   *       /en
//
// A cookie "country" is the viewer's own choice. It does not lift a 451: that
// depends on where the viewer is. The distribution must forward the header
// CloudFront-Viewer-Country (an origin request or cache policy with it).
import cf from 'cloudfront';

const kvs = cf.kvs();

const UNROUTED = /^\/(?:assets|api|[a-z]{2})(?:\/|$)/; // these have their place already

async function handler(event) {
    const request = event.request;
    const located = await lookup(code(request.headers['cloudfront-viewer-country']));
    if (located === '451') {
        return {
            statusCode: 451,
            statusDescription: 'Unavailable For Legal Reasons',
            headers: { 'cache-control': { value: 'no-store' } },
        };
    }
    if (UNROUTED.test(request.uri)) {
        return request;
    }
    const chosen = code(request.cookies.country);
    let prefix = chosen ? await lookup(chosen) : located;
    if (!isPrefix(prefix)) {
        prefix = located;
    }
    if (!isPrefix(prefix)) {
        prefix = await lookup('*');
    }
    if (isPrefix(prefix)) {
        request.uri = prefix + request.uri;
    }
    return request;
}

// code returns the country code that a header or cookie holds, or "". Only what
// looks like one is ever used as a key.
function code(entry) {
    const value = entry ? entry.value.toUpperCase() : '';
    return /^[A-Z]{2}$/.test(value) ? value : '';
}

// lookup returns the value of a key, or "" if there is none.
async function lookup(key) {
    if (key === '') {
        return '';
    }
    try {
        const value = await kvs.get(key);
        return value;
    } catch (e) {
        if (!String(e).includes('KeyNotFound')) {
            console.log('the store cannot be read: ' + e.message);
        }
        return '';
    }
}

function isPrefix(value) {
    return /^\/[a-z]{2}$/.test(value);
}
