// Makes calls with OpenRouter's own SDK: one JSON object per line in, one per line out.
import { createInterface } from "node:readline";

import { OpenRouter } from "@openrouter/sdk";
import { SDK_METADATA } from "@openrouter/sdk/lib/config.js";
import { oAuthCreateSHA256CodeChallenge } from "@openrouter/sdk/funcs/oAuthCreateSHA256CodeChallenge.js";

const operations = {
  methods: (sdk, { names }) => names.filter((name) => typeof memberOf(sdk, name) === "function"),
  oauth_methods: (sdk) =>
    Object.getOwnPropertyNames(Object.getPrototypeOf(sdk.oAuth)).filter((n) => n !== "constructor"),
  version: () => SDK_METADATA.sdkVersion,
  authorization_url: (sdk, parameters) => sdk.oAuth.createAuthorizationUrl(parameters),
  create_code_challenge: (sdk) => sdk.oAuth.createSHA256CodeChallenge(),
  code_challenges: (sdk, { codeVerifiers }) => Promise.all(codeVerifiers.map(codeChallengeOf)),
  exchange: (sdk, requestBody) => sdk.oAuth.exchangeAuthCodeForAPIKey({ requestBody }),
  create_code: (sdk, requestBody) => sdk.oAuth.createAuthCode({ requestBody }),
  key: (sdk) => sdk.apiKeys.getCurrentKeyMetadata(),
  credits: (sdk) => sdk.credits.getCredits(),
  models: async (sdk) => (await firstPage(sdk.models.list())).result,
  models_user: async (sdk, _, apiKey) =>
    (await firstPage(sdk.models.listForUser({ bearer: apiKey }))).result,
  chat: (sdk, chatRequest) => sdk.chat.send({ chatRequest }),
  stream: async (sdk, chatRequest) => {
    const chunks = [];
    for await (const chunk of await sdk.chat.send({ chatRequest: { ...chatRequest, stream: true } })) {
      chunks.push(chunk);
    }
    return chunks;
  },
};

function memberOf(sdk, name) {
  return name.split(".").reduce((owner, part) => owner?.[part], sdk);
}

async function codeChallengeOf(codeVerifier) {
  const result = await oAuthCreateSHA256CodeChallenge({ codeVerifier });
  return result.ok ? result.value.codeChallenge : null;
}

async function firstPage(pages) {
  for await (const page of await pages) {
    return page;
  }
}

function toCamelCase(parameters) {
  const renamed = Object.entries(parameters).map(([name, value]) => [
    name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase()),
    name === "expires_at" ? new Date(value) : value,
  ]);
  return Object.fromEntries(renamed);
}

async function answer({ operation, base_url, api_key, options, parameters }) {
  const sdk = new OpenRouter({
    serverURL: `${base_url}/api/v1`,
    apiKey: api_key ?? undefined,
    retryConfig: { strategy: "none" },
    ...options,
  });
  try {
    const call = operations[operation];
    return { value: (await call(sdk, toCamelCase(parameters), api_key)) ?? null };
  } catch (error) {
    return {
      error: error.constructor.name,
      status: error.statusCode ?? null,
      message: error.error?.message ?? String(error.message),
    };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line))));
}
