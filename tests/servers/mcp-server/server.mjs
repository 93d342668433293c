// A server of the Model Context Protocol for the flow tests, made of @modelcontextprotocol/sdk, on a free loopback port.
// It is its own authorization server (the SDK's router), unless another one is named.
//
// Arguments: the directory whose node_modules holds the SDK, and a JSON object:
//   path              of the server, such as "/mcp"
//   scope             that every request needs
//   tool_scope        that calling a tool needs beside it
//   registers         whether clients may register themselves
//   clients           [{client_id, client_secret, redirect_uris}] that are known already
//   access_token_ttl  seconds
//   introspection     {issuer, endpoint, client_id, client_secret} of another authorization server; null: it is its own
//
// Every request for tokens must name the server's address as `resource` (RFC 8707).
// Prints {"port": N} when it is ready. Ends when its standard input closes or on SIGTERM.

import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, optionsJson] = process.argv.slice(2);
const options = JSON.parse(optionsJson);
const require = createRequire(join(modules, 'package.json'));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { default: express } = await load('express');
const { McpServer } = await load('@modelcontextprotocol/sdk/server/mcp.js');
const { StreamableHTTPServerTransport } = await load('@modelcontextprotocol/sdk/server/streamableHttp.js');
const { mcpAuthRouter, mcpAuthMetadataRouter, getOAuthProtectedResourceMetadataUrl } = await load(
  '@modelcontextprotocol/sdk/server/auth/router.js',
);
const { requireBearerAuth } = await load('@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js');
const errors = await load('@modelcontextprotocol/sdk/server/auth/errors.js');

const app = express();
const listening = app.listen(0, '127.0.0.1');
await new Promise((ready) => { listening.once('listening', ready); });
const origin = `http://127.0.0.1:${listening.address().port}`;
const address = new URL(`${origin}${options.path}`);
const known = new Map(options.clients.map((client) => [client.client_id, client]));

function requireResource(resource) {
  if (resource?.href !== address.href) throw new errors.InvalidTargetError('resource must be the address of the server');
}

class Provider {
  codes = new Map();
  tokens = new Map();
  refreshTokens = new Map();

  get clientsStore() {
    return {
      getClient: (id) => known.get(id),
      ...(options.registers && {
        registerClient: (client) => { known.set(client.client_id, client); return client; },
      }),
    };
  }

  async authorize(client, params, response) {
    requireResource(params.resource);
    const code = randomUUID();
    this.codes.set(code, { client, params });
    const back = new URL(params.redirectUri);
    back.searchParams.set('code', code);
    if (params.state !== undefined) back.searchParams.set('state', params.state);
    response.redirect(back.href);
  }

  async challengeForAuthorizationCode(client, code) {
    const found = this.codes.get(code);
    if (found?.client.client_id !== client.client_id) throw new errors.InvalidGrantError('the code is not known');
    return found.params.codeChallenge;
  }

  async exchangeAuthorizationCode(client, code, _verifier, redirectUri, resource) {
    requireResource(resource);
    const { params } = this.codes.get(code);
    this.codes.delete(code);
    if (redirectUri !== params.redirectUri) throw new errors.InvalidGrantError('the redirect_uri is another one');
    return this.issue(client.client_id, params.scopes ?? []);
  }

  async exchangeRefreshToken(client, refreshToken, _scopes, resource) {
    requireResource(resource);
    const found = this.refreshTokens.get(refreshToken);
    if (found?.clientId !== client.client_id) throw new errors.InvalidGrantError('the refresh token is not known');
    this.refreshTokens.delete(refreshToken);
    return this.issue(client.client_id, found.scopes);
  }

  async verifyAccessToken(token) {
    const found = this.tokens.get(token);
    if (found === undefined) throw new errors.InvalidTokenError('the token is not known');
    return found;
  }

  async revokeToken(_client, { token }) {
    this.tokens.delete(token);
    this.refreshTokens.delete(token);
  }

  issue(clientId, scopes) {
    const [access, refresh] = [randomUUID(), randomUUID()];
    const expiresAt = Math.floor(Date.now() / 1000) + options.access_token_ttl;
    this.tokens.set(access, { token: access, clientId, scopes, expiresAt, resource: address });
    this.refreshTokens.set(refresh, { clientId, scopes });
    return {
      access_token: access, token_type: 'Bearer', expires_in: options.access_token_ttl, scope: scopes.join(' '),
      refresh_token: refresh,
    };
  }
}

// Asks another authorization server about a token (RFC 7662).
const introspecting = {
  async verifyAccessToken(token) {
    const { endpoint, client_id: id, client_secret: secret } = options.introspection;
    const answer = await fetch(endpoint, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` },
      body: new URLSearchParams({ token }),
    });
    const found = await answer.json();
    if (!found.active) throw new errors.InvalidTokenError('the token is not active');
    return { token, clientId: found.client_id, scopes: (found.scope ?? '').split(' '), expiresAt: found.exp, resource: new URL(found.aud) };
  },
};

const scopesSupported = [options.scope, options.tool_scope];
let verifier = new Provider();
if (options.introspection === null) {
  const unlimited = { rateLimit: false };
  app.use(mcpAuthRouter({
    provider: verifier, issuerUrl: new URL(origin), resourceServerUrl: address, scopesSupported,
    authorizationOptions: unlimited, tokenOptions: unlimited, revocationOptions: unlimited, clientRegistrationOptions: unlimited,
  }));
} else {
  verifier = introspecting;
  const { issuer } = options.introspection;
  const oauthMetadata = {
    issuer, authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token`, response_types_supported: ['code'],
  };
  app.use(mcpAuthMetadataRouter({ oauthMetadata, resourceServerUrl: address, scopesSupported }));
}

const guard = (...requiredScopes) => requireBearerAuth({
  verifier, requiredScopes, resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(address), expectedResource: address,
});
app.use(options.path, express.json(), (request, response, next) => {
  const scopes = request.body?.method === 'tools/call' ? [options.scope, options.tool_scope] : [options.scope];
  return guard(...scopes)(request, response, next);
});
app.post(options.path, async (request, response) => {
  const server = new McpServer({ name: 'tests', version: '1.0.0' });
  server.registerTool('whoami', { description: 'Who is calling' }, async (extra) => ({
    content: [{ type: 'text', text: extra.authInfo.clientId }],
  }));
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
  response.on('close', () => { transport.close(); server.close(); });
  await server.connect(transport);
  await transport.handleRequest(request, response, request.body);
});

for (const event of ['end', 'close']) process.stdin.on(event, () => process.exit(0));
process.stdin.resume();
process.on('SIGTERM', () => process.exit(0));
console.log(JSON.stringify({ port: listening.address().port }));
