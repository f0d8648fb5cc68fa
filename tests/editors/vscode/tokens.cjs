// Prints what the grammar makes of files: {path: [[offset, [scope, …]], …]}, offsets in characters.
//
//   node tokens.cjs FOLDER_WITH_NODE_MODULES GRAMMAR FILE…

const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const [folder, grammarFile, ...files] = process.argv.slice(2);
const from = createRequire(`${folder}/`);
const { INITIAL, parseRawGrammar, Registry } = from("vscode-textmate");
const { createOnigScanner, createOnigString, loadWASM } = from("vscode-oniguruma");

async function main() {
  await loadWASM(readFileSync(from.resolve("vscode-oniguruma/release/onig.wasm")).buffer);
  const registry = new Registry({
    onigLib: Promise.resolve({ createOnigScanner, createOnigString }),
    loadGrammar: async () => parseRawGrammar(readFileSync(grammarFile, "utf8"), grammarFile),
  });
  const grammar = await registry.loadGrammar("source.esp");
  const found = {};
  for (const file of files) {
    const tokens = [];
    let state = INITIAL;
    let begin = 0;
    for (const line of readFileSync(file, "utf8").split("\n")) {
      const result = grammar.tokenizeLine(line, state);
      state = result.ruleStack;
      for (const token of result.tokens) {
        tokens.push([begin + [...line.slice(0, token.startIndex)].length, token.scopes]);
      }
      begin += [...line].length + 1;
    }
    found[file] = tokens;
  }
  process.stdout.write(JSON.stringify(found));
}

main();
