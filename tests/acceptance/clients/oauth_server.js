// An OAuth server: oidc-provider with its own in-memory store, which gives opaque tokens
// to machines and answers what they are worth.
//
// node oauth_server.js PORT ACCOUNTS, where ACCOUNTS is JSON:
// {client id: {secret, scope, ttl, claims}}. What `claims` holds is in each answer about a
// token of that client.
"use strict";

const { pathToFileURL } = require("url");

const [port, accounts] = [Number(process.argv[2]), JSON.parse(process.argv[3])];
const scopes = (scope) => (scope || "").split(" ").filter(Boolean);
const all = Object.values(accounts).flatMap((account) => scopes(account.scope));

async function main() {
    // A module of the new kind, which ignores NODE_PATH.
    const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));
    const provider = new Provider(`http://127.0.0.1:${port}`, {
        clients: Object.entries(accounts).map(([id, account]) => ({
            client_id: id,
            client_secret: account.secret,
            grant_types: ["client_credentials"],
            redirect_uris: [],
            response_types: [],
            ...(account.scope ? { scope: account.scope } : {}),
            token_endpoint_auth_method: "client_secret_basic",
        })),
        cookies: { keys: ["FAKE"] },
        extraTokenClaims: (ctx, token) => accounts[token.clientId].claims,
        features: {
            clientCredentials: { enabled: true },
            devInteractions: { enabled: false },
            introspection: { enabled: true, allowedPolicy: () => true },
            revocation: { enabled: true, allowedPolicy: () => true },
        },
        scopes: [...new Set(["openid", "offline_access", ...all])],
        ttl: { ClientCredentials: (ctx, token) => accounts[token.clientId].ttl || 600 },
    });
    let asked = 0;
    provider.use(async (ctx, next) => {
        if (ctx.path === "/asked") {
            ctx.body = { asked };
            return;
        }
        asked += ctx.path === "/token/introspection" ? 1 : 0;
        await next();
    });
    provider.listen(port, "127.0.0.1");
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
