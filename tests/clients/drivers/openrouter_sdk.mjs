// `@openrouter/sdk`: the examples of OpenRouter's documentation, and a login.
import { OpenRouter } from "@openrouter/sdk";

import { API, KEY, MODEL, QUESTION, QUOTED, WEATHER, approve, check, checkKey, refused, run } from "./emulated.mjs";

const sdk = new OpenRouter({ apiKey: KEY, serverURL: API });
const messages = [{ role: "user", content: QUESTION }];

// Only the server's address and the key differ from the documentation.
async function documentedExamples() {
  const openRouter = new OpenRouter({
    httpReferer: "<value>",
    appTitle: "<value>",
    appCategories: "<value>",
    apiKey: KEY,
    serverURL: API,
  });
  const created = await openRouter.oAuth.createAuthCode({
    requestBody: {
      callbackUrl: "https://myapp.com/auth/callback",
      codeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
      codeChallengeMethod: "S256",
      limit: 100,
    },
  });
  const result = await openRouter.oAuth.exchangeAuthCodeForAPIKey({
    requestBody: {
      code: created.data.id,
      codeChallengeMethod: "S256",
      codeVerifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    },
  });
  await checkKey(result.key);
  const answered = await new OpenRouter({ apiKey: result.key, serverURL: API }).chat.send({
    chatRequest: {
      messages: [
        { role: "system", content: "You are a helpful assistant." },
        { role: "user", content: "What is the capital of France?" },
      ],
      model: "openai/gpt-4",
      maxTokens: 150,
      temperature: 0.7,
    },
  });
  check(answered.choices[0].message.content, "no answer");
}

async function login() {
  const { codeChallenge, codeVerifier } = await sdk.oAuth.createSHA256CodeChallenge();
  const request = { callbackUrl: "http://localhost:3000/callback", codeChallenge, codeChallengeMethod: "S256" };
  const anonymous = new OpenRouter({ serverURL: API });
  const exchange = async (verifier) => {
    const callback = new URL(await approve(await anonymous.oAuth.createAuthorizationUrl(request)));
    const code = callback.searchParams.get("code");
    return anonymous.oAuth.exchangeAuthCodeForAPIKey({
      requestBody: { code, codeVerifier: verifier, codeChallengeMethod: "S256" },
    });
  };
  await checkKey((await exchange(codeVerifier)).key);
  const error = await refused(() => exchange("w".repeat(43)));
  check(error.statusCode === 403, error);
}

async function chat() {
  const completion = await sdk.chat.send({ chatRequest: { model: MODEL, messages } });
  check(completion.choices[0].message.content.includes(QUOTED), "the question is not quoted");
  check(completion.usage.cost > 0, "no cost");
}

async function stream() {
  let text = "";
  for await (const chunk of await sdk.chat.send({ chatRequest: { model: MODEL, messages, stream: true } })) {
    text += chunk.choices[0]?.delta?.content ?? "";
  }
  check(text.includes(QUOTED), text);
}

async function tools() {
  const tool = {
    type: "function",
    function: {
      name: "get_weather",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  };
  const asked = [{ role: "user", content: WEATHER }];
  const first = await sdk.chat.send({ chatRequest: { model: MODEL, messages: asked, tools: [tool] } });
  const { message } = first.choices[0];
  check(message.toolCalls[0].function.name === "get_weather", "the tool is not called");
  const result = { role: "tool", toolCallId: message.toolCalls[0].id, content: "18 °C" };
  const chatRequest = { model: MODEL, messages: [...asked, message, result], tools: [tool] };
  const second = await sdk.chat.send({ chatRequest });
  check(second.choices[0].message.content.includes("18 °C"), "the result is not used");
}

async function errors() {
  const stranger = new OpenRouter({ apiKey: "sk-or-v1-unknown", serverURL: API });
  const error = await refused(() => stranger.apiKeys.getCurrentKeyMetadata());
  check(error.statusCode === 401, error);
}

await run(documentedExamples, login, chat, stream, tools, errors);
