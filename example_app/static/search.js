// Search that forgives spelling: "gpt4o" and "GPT_4o" find "GPT-4o", and so does "4o-gpt" if nothing has that name.

const pieces = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().split(/[^\p{L}\p{N}]+/u);
const fold = (text) => pieces(text).join("");

// Returns the items of which a text has each word of the query, or else each piece of the words.
export function find(query, items, textsOf) {
  const having = (wanted) => items.filter((item) => {
    const texts = textsOf(item).map(fold).join(" ");
    return wanted.every((part) => texts.includes(part));
  });
  const found = having(query.split(/\s+/).map(fold));
  return found.length > 0 ? found : having(pieces(query));
}
