// An OpenID Connect provider for tests: its port, and where Segno takes browsers back, are its arguments. Whoever signs in is
// who they say; what people are stands in `groups`. Tokens for programs are for a resource `urn:KIND:ALGORITHM`.
import * as jose from 'jose';
import { Provider } from 'oidc-provider';

const [port, callback] = process.argv.slice(-2);
const keys = [];
for (const alg of ['RS256', 'PS384', 'ES256', 'EdDSA']) {
  const { privateKey } = await jose.generateKeyPair(alg, { extractable: true });
  keys.push({ ...(await jose.exportJWK(privateKey)), alg, use: 'sig', kid: `${alg}-${Date.now()}` });
}
const groups = { ann: ['segno-operators', 'staff'], ben: ['guests'] };
const issuer = `http://localhost:${port}`;
// What is wrong with tokens of a kind.
const wrong = {
  late: (claims) => ({ ...claims, iat: claims.iat - 7200, exp: claims.exp - 7200 }),
  early: (claims) => ({ ...claims, nbf: claims.iat + 7200 }),
  foreign: (claims) => ({ ...claims, iss: 'http://localhost:1' }),
  others: (claims) => ({ ...claims, aud: 'others' }),
  nobody: ({ sub, email, ...claims }) => claims,
  endless: ({ exp, ...claims }) => claims,
};
const provider = new Provider(issuer, {
  jwks: { keys },
  clients: [
    {
      client_id: 'segno',
      client_secret: 'the-secret-of-segno',
      redirect_uris: [callback],
      grant_types: ['authorization_code'],
    },
    {
      client_id: 'robot',
      client_secret: 'the-secret-of-robot',
      redirect_uris: [],
      response_types: [],
      grant_types: ['client_credentials'],
    },
  ],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['groups'] },
  conformIdTokenClaims: false,
  cookies: { keys: ['of a test'] },
  pkce: { required: () => true },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true, groups: groups[id] ?? [] }),
  }),
  features: {
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      getResourceServerInfo: (ctx, resource) => ({
        scope: 'api',
        audience: 'segno',
        accessTokenFormat: 'jwt',
        accessTokenTTL: 600,
        jwt: { sign: { alg: resource.split(':').at(-1) } },
      }),
    },
  },
  formats: {
    customizers: {
      jwt: (ctx, token, parts) => {
        const change = wrong[ctx.oidc.params.resource.split(':')[1]];
        if (change) parts.payload = change(parts.payload);
      },
    },
  },
  extraTokenClaims: () => ({ email: 'robot@example.com', groups: ['segno-viewers'] }),
});
provider.listen(Number(port), '127.0.0.1');
