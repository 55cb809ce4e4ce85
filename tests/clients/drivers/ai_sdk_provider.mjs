// `@openrouter/ai-sdk-provider`: the AI SDK with OpenRouter.
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import * as ai from "ai";
import { z } from "zod";

import { API, KEY, MODEL, QUESTION, QUOTED, WEATHER, check, refused, run } from "./emulated.mjs";

const provider = createOpenRouter({ apiKey: KEY, baseURL: API });
const model = provider.chat(MODEL);
const schema = z.object({ name: z.string(), hours: z.number().int(), tags: z.array(z.string()) });

async function generateText() {
  const { text, usage } = await ai.generateText({ model, prompt: QUESTION });
  check(text.includes(QUOTED), text);
  check(usage.totalTokens > 0, "no usage");
}

async function streamText() {
  let text = "";
  const result = ai.streamText({ model, prompt: QUESTION, onError: ({ error }) => { throw error; } });
  for await (const part of result.textStream) {
    text += part;
  }
  check(text.includes(QUOTED), text);
  check((await result.finishReason) === "stop", await result.finishReason);
}

async function generateObject() {
  const { object } = await ai.generateObject({ model, schema, prompt: QUESTION });
  check(schema.safeParse(object).success, JSON.stringify(object));
}

async function streamObject() {
  const result = ai.streamObject({ model, schema, prompt: QUESTION });
  let count = 0;
  for await (const _ of result.partialObjectStream) {
    count += 1;
  }
  check(count > 0 && schema.safeParse(await result.object).success, "no object");
}

async function structuredOutput() {
  const { output } = await ai.generateText({ model, prompt: QUESTION, output: ai.Output.object({ schema }) });
  check(schema.safeParse(output).success, JSON.stringify(output));
}

async function tools() {
  const getWeather = ai.tool({
    description: "The weather of a city",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `18 °C in ${city}`,
  });
  const options = { model, prompt: WEATHER, tools: { getWeather }, stopWhen: ai.stepCountIs(3) };
  const { text, steps } = await ai.generateText(options);
  check(steps.length === 2 && text.includes("18 °C in Paris"), `${steps.length}: ${text}`);
}

async function reasoning() {
  const reasoner = provider.chat(MODEL, { reasoning: { effort: "low" } });
  const { reasoningText } = await ai.generateText({ model: reasoner, prompt: QUESTION });
  check(reasoningText, "no reasoning");
}

async function embeddings() {
  const embedder = provider.textEmbeddingModel("openai/text-embedding-3-small");
  const { embeddings: found } = await ai.embedMany({ model: embedder, values: ["one", "two"] });
  check(found.length === 2 && found[0].length === 1536, "no vectors");
}

async function errors() {
  const stranger = createOpenRouter({ apiKey: "sk-or-v1-unknown", baseURL: API }).chat(MODEL);
  const error = await refused(() => ai.generateText({ model: stranger, prompt: QUESTION, maxRetries: 0 }));
  check(error.statusCode === 401, error);
}

await run(generateText, streamText, generateObject, streamObject, structuredOutput, tools, reasoning, embeddings, errors);
