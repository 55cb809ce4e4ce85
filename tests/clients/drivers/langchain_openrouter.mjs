// `@langchain/openrouter`: ChatOpenRouter in JavaScript.
import { HumanMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenRouter } from "@langchain/openrouter";
import { z } from "zod";

import { API, KEY, MODEL, QUESTION, QUOTED, WEATHER, check, refused, run } from "./emulated.mjs";

const options = { model: MODEL, apiKey: KEY, baseURL: API, maxRetries: 0 };
const model = new ChatOpenRouter(options);

async function chat() {
  const message = await model.invoke(QUESTION);
  check(message.content.includes(QUOTED), message.content);
  check(message.usage_metadata.total_tokens > 0, "no usage");
}

async function stream() {
  let text = "";
  for await (const chunk of await model.stream(QUESTION)) {
    text += chunk.content;
  }
  check(text.includes(QUOTED), text);
}

async function tools() {
  const getWeather = tool(async ({ city }) => `18 °C in ${city}`, {
    name: "get_weather",
    description: "The weather of a city",
    schema: z.object({ city: z.string() }),
  });
  const bound = model.bindTools([getWeather]);
  const first = await bound.invoke(WEATHER);
  const result = await getWeather.invoke(first.tool_calls[0]);
  const second = await bound.invoke([new HumanMessage(WEATHER), first, result]);
  check(second.content.includes("18 °C in Paris"), second.content);
}

async function structuredOutput() {
  const schema = z.object({ name: z.string(), hours: z.number().int() });
  const soup = await model.withStructuredOutput(schema).invoke("A soup, please");
  check(schema.safeParse(soup).success, JSON.stringify(soup));
}

async function errors() {
  const stranger = new ChatOpenRouter({ ...options, apiKey: "sk-or-v1-unknown" });
  const error = await refused(() => stranger.invoke(QUESTION));
  check(String(error).includes("User not found"), error);
}

await run(chat, stream, tools, structuredOutput, errors);
