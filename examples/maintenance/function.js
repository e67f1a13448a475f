// A switch that takes a site down for all but an allow-list. The key
// "maintenance" holds it; without that key the site is up.
//
//   {"on": true, "until": "2026-06-01T14:00:00Z",
//    "allow": ["203.0.113.0/24", "2001:db8::/32"], "paths": ["/health"]}
//
// With a key "maintenance-bypass" its value, as the cookie of that name, lets
// testers in from anywhere.
import cf from 'cloudfront';

const kvs = cf.kvs();

const DEFAULT_RETRY_SECONDS = 300; // without a time, or when it has passed

async function handler(event) {
    const request = event.request;
    let state;
    try {
        state = await kvs.get('maintenance', { format: 'json' });
    } catch (e) {
        // No key, or one that cannot be read: a typing error is no outage.
        if (!String(e).includes('KeyNotFound')) {
            console.log('the switch cannot be read: ' + e.message);
        }
        return request;
    }
    if (!state || state.on !== true) {
        return request;
    }
    if ((state.paths || []).includes(request.uri) || (state.allow || []).some(range => contains(range, event.viewer.ip))) {
        return request;
    }
    const cookie = request.cookies['maintenance-bypass'];
    if (cookie && await isBypass(cookie.value)) {
        return request;
    }
    return unavailable(state.until, request.headers.accept);
}

async function isBypass(value) {
    try {
        const token = await kvs.get('maintenance-bypass');
        return token !== '' && token === value;
    } catch (e) {
        return false;
    }
}

function unavailable(until, accept) {
    const seconds = Math.ceil((Date.parse(until) - Date.now()) / 1000);
    const json = accept !== undefined && accept.value.includes('application/json');
    return {
        statusCode: 503,
        statusDescription: 'Service Unavailable',
        headers: {
            'retry-after': { value: String(seconds > 0 ? seconds : DEFAULT_RETRY_SECONDS) },
            'cache-control': { value: 'no-store' },
            'content-type': { value: json ? 'application/json' : 'text/html; charset=utf-8' },
        },
        body: {
            encoding: 'text',
            data: json ? '{"error":"maintenance"}' : '<!doctype html><title>Maintenance</title><h1>Back soon</h1>',
        },
    };
}

// contains reports whether a range, "ADDRESS" or "ADDRESS/BITS", has an address.
function contains(range, ip) {
    const slash = range.indexOf('/');
    const network = parseIP(slash < 0 ? range : range.slice(0, slash));
    const address = parseIP(ip);
    if (!network || !address || network.length !== address.length) {
        return false;
    }
    const all = network.length * 8;
    const bits = slash < 0 ? all : Number(range.slice(slash + 1));
    if (!(bits >= 0 && bits <= all) || slash === range.length - 1) {
        return false;
    }
    for (let i = 0; i * 8 < bits; i++) {
        const mask = (0xff00 >> Math.min(8, bits - i * 8)) & 0xff;
        if ((network[i] & mask) !== (address[i] & mask)) {
            return false;
        }
    }
    return true;
}

// parseIP returns the 4 or 16 bytes of an address, null if it is none.
function parseIP(text) {
    if (text.includes(':')) {
        return parseIPv6(text);
    }
    const parts = text.split('.');
    if (parts.length !== 4 || !parts.every(p => /^\d{1,3}$/.test(p) && Number(p) < 256)) {
        return null;
    }
    return parts.map(Number);
}

function parseIPv6(text) {
    const halves = text.split('::');
    const groups = halves.map(half => half === '' ? [] : half.split(':'));
    let list = groups[0];
    if (halves.length === 2) {
        while (list.length + groups[1].length < 8) {
            list.push('0');
        }
        list = list.concat(groups[1]);
    }
    if (halves.length > 2 || list.length !== 8 || !list.every(g => /^[0-9a-f]{1,4}$/i.test(g))) {
        return null;
    }
    return list.reduce((bytes, g) => bytes.concat(parseInt(g, 16) >> 8, parseInt(g, 16) & 0xff), []);
}
