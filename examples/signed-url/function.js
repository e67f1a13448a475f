// Lets a URL pass until it expires, if it is signed:
//
//   /video/1.mp4?expires=1780315200&kid=k1&sig=...
//
// sig is the HMAC-SHA256, in base64url, of the path as it is in the URL, a line
// feed, and the time. The key "url/KID" holds the secret of that key id in hex,
// at least 32 bytes. To rotate: put a new key, sign with it, and delete the old
// one when its last URL has expired. Deleting it now revokes all of them.
import cf from 'cloudfront';
import crypto from 'crypto';

const kvs = cf.kvs();

const MIN_SECRET_BYTES = 32;

async function handler(event) {
    const request = event.request;
    try {
        await verify(request);
    } catch (e) {
        // Whatever went wrong, nobody gets in; what it was is for the log only.
        console.log('refused: ' + e.message);
        return {
            statusCode: 403,
            statusDescription: 'Forbidden',
            headers: { 'cache-control': { value: 'no-store' } },
        };
    }
    // All signatures of an object share one entry of the cache. The other
    // parameters are not signed, and stay.
    delete request.querystring.expires;
    delete request.querystring.kid;
    delete request.querystring.sig;
    return request;
}

async function verify(request) {
    const expires = single(request, 'expires');
    const kid = single(request, 'kid');
    const signature = single(request, 'sig');
    if (!/^\d{10}$/.test(expires) || !/^[\w-]{1,64}$/.test(kid)) {
        throw new Error('not a signed URL');
    }
    const hex = await kvs.get('url/' + kid); // KeyNotFound: an unknown or revoked key
    const secret = Buffer.from(hex, 'hex');
    if (secret.length < MIN_SECRET_BYTES) {
        throw new Error('the secret is too short');
    }
    const expected = crypto.createHmac('sha256', secret).update(request.uri + '\n' + expires).digest('base64url');
    if (!equal(expected, signature)) {
        throw new Error('wrong signature');
    }
    if (Number(expires) <= Date.now() / 1000) {
        throw new Error('expired');
    }
}

// single returns a parameter that is there exactly once: of two values this
// function and the origin might take different ones.
function single(request, name) {
    const entry = request.querystring[name];
    if (!entry || entry.multiValue) {
        throw new Error('not one ' + name);
    }
    return entry.value;
}

// equal compares in a time that depends on the length alone: how many
// characters of a forged signature are right must not show.
function equal(a, b) {
    if (a.length !== b.length) {
        return false;
    }
    let difference = 0;
    for (let i = 0; i < a.length; i++) {
        difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
    }
    return difference === 0;
}
