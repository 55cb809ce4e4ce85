// The emulator as the drivers see it: its address, a key, and a visitor who approves.

export const URL_OF_EMULATOR = process.env.EMULATOR_URL;
export const API = `${URL_OF_EMULATOR}/api/v1`;
export const KEY = process.env.EMULATOR_KEY;

export const MODEL = "openai/gpt-4o-mini";
export const QUESTION = "What is Flask?";
// The emulator quotes the question in its answer.
export const QUOTED = "“What is Flask?”";
export const WEATHER = "What is the weather in Paris?";

// Run the steps of a driver, and print their names in one line.
export async function run(...steps) {
  for (const step of steps) {
    await step();
  }
  const names = steps.map((step) => step.name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`));
  console.log(names.join(", "));
}

// Approve on the consent page, as a visitor does. Return the address to go to next.
export async function approve(authorizationUrl) {
  const page = await (await fetch(authorizationUrl)).text();
  const [, consent] = page.match(/name="consent" value="([^"]+)"/);
  const body = new URLSearchParams({ consent, decision: "approve" });
  const decided = await fetch(`${URL_OF_EMULATOR}/auth`, { method: "POST", body, redirect: "manual" });
  return decided.headers.get("Location");
}

// Check that the emulator has issued this key and accepts it.
export async function checkKey(apiKey) {
  const response = await fetch(`${API}/key`, { headers: { Authorization: `Bearer ${apiKey}` } });
  check(response.status === 200 && apiKey !== KEY, `the key is not accepted: ${response.status}`);
}

export function check(isTrue, message) {
  if (!isTrue) {
    throw new Error(message);
  }
}

// Check that this call is refused with an error. Return the error.
export async function refused(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error("the call was not refused");
}
