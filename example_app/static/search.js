// Search that forgives spelling: "gpt4o", "GPT 4o" and "4o-gpt" all find "GPT-4o".

const pieces = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().split(/[^\p{L}\p{N}]+/u);

// Returns a function that tells whether these texts have all pieces of the query.
export function finder(query) {
  const wanted = pieces(query);
  return (...texts) => {
    const joined = texts.map((text) => pieces(text).join("")).join(" ");
    return wanted.every((piece) => joined.includes(piece));
  };
}
