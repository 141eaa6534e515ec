// A certified OIDC server with two clients, for end-to-end tests.
//
// `app` stands for the application beside the sidecar: its access tokens are JWTs for AUDIENCE.
// `provider` stands for the sidecar at an OAuth provider: opaque access tokens, refresh tokens that
// work once, and a second use of one revokes the whole grant.
//
// Anybody signs in under any name, through the library's own development pages. The first line on
// standard output is a JSON object with the issuer; the server ends when its standard input does.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

const AUDIENCE = 'https://api.example.test';

const signingKey = (kid, alg, type, options) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }),
  kid,
  alg,
  use: 'sig',
});

const client = (name, more) => ({
  client_id: name,
  client_secret: `${name}-secret`,
  // A native client's loopback address is accepted with any port (RFC 8252 section 7.3).
  application_type: 'native',
  redirect_uris: ['http://127.0.0.1/callback'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  ...more,
});

const configuration = {
  clients: [client('app'), client('provider', { token_endpoint_auth_method: 'client_secret_post' })],
  cookies: { keys: [randomBytes(32).toString('hex')] },
  jwks: {
    keys: [
      signingKey('rsa', 'RS256', 'rsa', { modulusLength: 2048 }),
      signingKey('ec', 'ES256', 'ec', { namedCurve: 'P-256' }),
    ],
  },
  scopes: ['openid', 'offline_access', 'read', 'write'],
  findAccount: (ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  extraTokenClaims: () => ({ groups: ['staff'] }),
  issueRefreshToken: () => true,
  rotateRefreshToken: true,
  features: {
    devInteractions: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx, asking) => (asking.clientId === 'app' ? AUDIENCE : undefined),
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'read write',
        audience: AUDIENCE,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 3600,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
};

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  server.on('request', new Provider(issuer, configuration).callback());
  console.log(JSON.stringify({ issuer, audience: AUDIENCE }));
});

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
