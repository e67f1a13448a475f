// Lets a request pass with a valid JSON Web Token (HS256), in the Authorization
// header or the cookie "token", and tells the origin whose it is in x-user.
//
// The key "jwt/KID" holds the secret of that key id in hex, at least 32 bytes.
// To rotate: put the new key, let the issuer sign with it, and delete the old
// key when its last token has expired. To revoke a key: delete it now.
import cf from 'cloudfront';
import crypto from 'crypto';

const kvs = cf.kvs();

const ISSUER = 'https://login.example.com';
const AUDIENCE = 'https://www.example.com';
const LEEWAY_SECONDS = 30; // clocks differ
const MIN_SECRET_BYTES = 32;

async function handler(event) {
    const request = event.request;
    const token = findToken(request);
    if (!token) {
        return unauthorized('Bearer');
    }
    try {
        const claims = await verify(token);
        request.headers['x-user'] = { value: claims.sub }; // in place of the viewer's, if it sent one
        return request;
    } catch (e) {
        // Whatever went wrong, nobody gets in; what it was is for the log only.
        console.log('refused: ' + e.message);
        return unauthorized('Bearer error="invalid_token"');
    }
}

// findToken returns the token, or "" if there is none or more than one.
function findToken(request) {
    const header = request.headers.authorization;
    if (header) {
        const match = /^Bearer +([\w.-]+)$/i.exec(header.value);
        return match && !header.multiValue ? match[1] : '';
    }
    const cookie = request.cookies.token;
    return cookie && !cookie.multiValue ? cookie.value : '';
}

async function verify(token) {
    const parts = token.split('.');
    if (parts.length !== 3) {
        throw new Error('not a token');
    }
    // The token does not choose how it is checked: "none", another algorithm, or
    // an extension that this code does not know, is not accepted.
    const header = decode(parts[0]);
    if (header.alg !== 'HS256' || header.crit !== undefined) {
        throw new Error('not signed with HS256');
    }
    const secret = await findSecret(header.kid);
    const signature = crypto.createHmac('sha256', secret).update(parts[0] + '.' + parts[1]).digest('base64url');
    if (!equal(signature, parts[2])) {
        throw new Error('wrong signature');
    }
    const claims = decode(parts[1]);
    check(claims);
    return claims;
}

async function findSecret(kid) {
    if (typeof kid !== 'string' || !/^[\w-]{1,64}$/.test(kid)) {
        throw new Error('no key id');
    }
    const hex = await kvs.get('jwt/' + kid); // KeyNotFound: an unknown or revoked key
    const secret = Buffer.from(hex, 'hex');
    if (secret.length < MIN_SECRET_BYTES) {
        throw new Error('the secret is too short');
    }
    return secret;
}

function check(claims) {
    const now = Date.now() / 1000;
    if (!Number.isFinite(claims.exp) || claims.exp + LEEWAY_SECONDS <= now) {
        throw new Error('expired');
    }
    if (claims.nbf !== undefined && (!Number.isFinite(claims.nbf) || claims.nbf - LEEWAY_SECONDS > now)) {
        throw new Error('not valid yet');
    }
    if (claims.iss !== ISSUER || ![].concat(claims.aud).includes(AUDIENCE)) {
        throw new Error('another issuer or audience');
    }
    if (typeof claims.sub !== 'string' || !/^[\x21-\x7e]{1,128}$/.test(claims.sub)) {
        throw new Error('no subject'); // or one that does not go into a header
    }
}

function decode(part) {
    const value = JSON.parse(Buffer.from(part, 'base64url').toString());
    if (value === null || typeof value !== 'object') {
        throw new Error('not a token');
    }
    return value;
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

function unauthorized(challenge) {
    return {
        statusCode: 401,
        statusDescription: 'Unauthorized',
        headers: { 'www-authenticate': { value: challenge }, 'cache-control': { value: 'no-store' } },
    };
}
