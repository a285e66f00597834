// Counts the tokens of o200k_base of each line of a file: count_tokens.mjs TOOLS_FOLDER FILE
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, file] = process.argv.slice(2);
const { encode } = createRequire(`${folder}/`)("gpt-tokenizer/encoding/o200k_base");
for (const line of readFileSync(file, "utf8").trimEnd().split("\n")) {
  console.log(encode(line).length);
}
