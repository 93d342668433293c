// An OpenID Connect authorization server for the flow tests, on a free loopback port.
//
// Arguments: the directory whose node_modules holds oidc-provider, and a JSON object:
//   clients           [{client_id, client_secret, redirect_uris, token_endpoint_auth_method}]
//   approval          "forms" (the package's own login and consent pages), "automatic" (signs in and consents at
//                     once) or "deny" (refuses at once)
//   rotate            whether every refresh gives a new refresh token and ends the old one
//   access_token_ttl  seconds
//   code_ttl          seconds
//   require_pushed    whether authorization requests must have been pushed (RFC 9126)
//   pkce_required     whether an authorization request without a code challenge is refused
//   dpop_nonce        whether DPoP proofs must repeat a nonce of the server's (RFC 9449 section 8)
//   tls               PEM texts `cert` and `key` of the server, and `ca`, whose clients' certificates count (RFC 8705); null: no TLS
//   accounts          who signs in, by `login_hint` ("person" without one) or by the login in the form, each with a `sub`
//                     and further claims; others have that as their `sub`
//   registration      whether clients may register and manage themselves; a text: the initial access token they need
//   client_documents  documents that clients are named by, by their address (OAuth Client ID Metadata Document); a *
//                     at an address's end, and in its document, stands for the rest of the address
//   resource_scope    scopes of the protected resources that tokens can be asked for (RFC 8707); empty: for none
//
// Prints {"port": N} when it is ready. Ends when its standard input closes or on SIGTERM.

import { randomBytes, X509Certificate } from 'node:crypto';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, optionsJson] = process.argv.slice(2);
const options = JSON.parse(optionsJson);
const require = createRequire(join(modules, 'package.json'));
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

const claimsOf = new Map(); // of each subject, as it signed in last
const { tls } = options;
const server = tls ? createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: false }) : createServer();
const certificateOf = (ctx) => {
  const { raw } = ctx.req.socket.getPeerCertificate?.() ?? {};
  return raw && new X509Certificate(raw);
};
function documentAt(url) { // one whose address ends in * stands for all below it, with their name in place of every *
  const [address, document] = Object.entries(options.client_documents)
    .find(([each]) => each === url || (each.endsWith('*') && url.startsWith(each.slice(0, -1)))) ?? [];
  return address && JSON.stringify(document).replaceAll('*', url.slice(address.length - 1));
}
await new Promise((listening) => { server.listen(0, '127.0.0.1', listening); });
const { port } = server.address();

const provider = new Provider(`${tls ? 'https' : 'http'}://127.0.0.1:${port}`, {
  clients: options.clients.map((client) => ({
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    ...client,
  })),
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'given_name', 'family_name'] },
  clientAuthMethods: [
    'client_secret_basic', 'client_secret_jwt', 'client_secret_post', 'none', 'private_key_jwt',
    ...(tls ? ['self_signed_tls_client_auth', 'tls_client_auth'] : []),
  ],
  cookies: { keys: [randomBytes(32).toString('hex')] },
  fetch: async (url, init) => {
    const document = documentAt(String(url));
    return document === undefined
      ? globalThis.fetch(url, init)
      : new Response(document, { headers: { 'cache-control': 'max-age=60' } });
  },
  features: {
    clientIdMetadataDocument: { ack: 'draft-02', enabled: Object.keys(options.client_documents).length > 0 },
    resourceIndicators: {
      enabled: options.resource_scope !== '',
      defaultResource: () => undefined,
      getResourceServerInfo: (ctx, audience) => ({ audience, scope: options.resource_scope, accessTokenFormat: 'opaque' }),
      useGrantedResource: () => false,
    },
    devInteractions: { enabled: options.approval === 'forms' },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => options.dpop_nonce },
    deviceFlow: { enabled: true },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    mTLS: {
      enabled: tls !== null,
      selfSignedTlsClientAuth: true,
      tlsClientAuth: true,
      certificateAuthorized: (ctx) => ctx.req.socket.authorized,
      certificateSubjectMatches: (ctx, property, expected) =>
        property === 'tls_client_auth_san_dns' && certificateOf(ctx).subjectAltName === `DNS:${expected}`,
      getCertificate: certificateOf,
    },
    pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: options.require_pushed },
    revocation: { enabled: true },
    registration: { enabled: Boolean(options.registration), initialAccessToken: options.registration || false },
    registrationManagement: { enabled: Boolean(options.registration), rotateRegistrationAccessToken: true },
  },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.com`, name: id, ...(claimsOf.get(id) ?? options.accounts[id]) }),
  }),
  pkce: { required: () => options.pkce_required },
  rotateRefreshToken: options.rotate,
  ttl: {
    AccessToken: options.access_token_ttl, AuthorizationCode: options.code_ttl, Grant: 86400, IdToken: 3600, Interaction: 600,
    RefreshToken: 86400, Session: 86400,
  },
});

async function interact(request, response) {
  if (options.approval === 'deny') {
    const refusal = { error: 'access_denied', error_description: 'The person said no' };
    await provider.interactionFinished(request, response, refusal, { mergeWithLastSubmission: false });
    return;
  }
  const { params } = await provider.interactionDetails(request, response);
  const hint = params.login_hint ?? 'person';
  const accountId = options.accounts[hint]?.sub ?? hint;
  claimsOf.set(accountId, options.accounts[hint]);
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  if (params.resource && options.resource_scope) grant.addResourceScope(params.resource, params.scope);
  const answer = { login: { accountId }, consent: { grantId: await grant.save() } };
  await provider.interactionFinished(request, response, answer, { mergeWithLastSubmission: false });
}

const application = provider.callback();
server.on('request', (request, response) => {
  if (options.approval !== 'forms' && request.url.startsWith('/interaction/')) {
    interact(request, response).catch((error) => {
      console.error(error);
      response.writeHead(500).end();
    });
  } else {
    application(request, response);
  }
});

for (const event of ['end', 'close']) process.stdin.on(event, () => process.exit(0));
process.stdin.resume();
process.on('SIGTERM', () => process.exit(0));
console.log(JSON.stringify({ port }));
