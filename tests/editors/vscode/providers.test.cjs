// What the client offers by itself, asked of src/generated.ts, src/snippets.ts and src/completing.ts with a stand-in for VS Code.
//
//   ESP3C_CLIENT=FOLDER node --test providers.test.cjs        in FOLDER they are bundled with `vscode` left out

const assert = require("node:assert/strict");
const { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } = require("node:fs");
const Module = require("node:module");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { test } = require("node:test");

class SnippetString {
  constructor(value) {
    this.value = value;
  }
}
class CompletionItem {
  constructor(label, kind) {
    Object.assign(this, { label, kind });
  }
}
const vscode = {
  CompletionItem,
  CompletionItemKind: { Snippet: 26 },
  SnippetString,
  Uri: { file: (fsPath) => ({ fsPath }) },
  workspace: { fs: { stat: async (uri) => statSync(uri.fsPath), readFile: async (uri) => readFileSync(uri.fsPath) } },
};
const load = Module._load;
Module._load = (name, ...rest) => (name === "vscode" ? vscode : load(name, ...rest));
const client = process.env.ESP3C_CLIENT;
const { BackToRecipe } = require(join(client, "generated.js"));
const { Snippets } = require(join(client, "snippets.js"));
const { continued } = require(join(client, "completing.js"));

test("only what a build has written is asked about", async (t) => {
  const root = mkdtempSync(join(tmpdir(), "esp3c-generated-"));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, "built", ".esp3c"), { recursive: true });
  writeFileSync(join(root, "built", ".esp3c", "manifest.json"), "{}");
  const asked = [];
  const provider = new BackToRecipe({
    definition: async (document, position) => {
      asked.push([document.uri.fsPath, position]);
      return ["the recipe"];
    },
  });
  const at = (...path) => provider.provideDefinition({ uri: { fsPath: join(root, ...path) } }, 7, {});
  assert.deepEqual(await at("built", "run.py"), ["the recipe"]);
  assert.deepEqual(await at("built", "conf", "training.yaml"), ["the recipe"]);
  assert.equal(await at("other", "conf", "training.yaml"), undefined);
  assert.equal(await at("built", "a", "b", "c", "d", "run.py"), undefined);
  assert.deepEqual(asked, [
    [join(root, "built", "run.py"), 7],
    [join(root, "built", "conf", "training.yaml"), 7],
  ]);
});

test("snippets are shown where something begins, and only while no server answers", async (t) => {
  const root = mkdtempSync(join(tmpdir(), "esp3c-snippets-"));
  t.after(() => rmSync(root, { recursive: true }));
  const file = { fsPath: join(root, "esp.json") };
  writeFileSync(file.fsPath, JSON.stringify({ Let: { prefix: "let", body: ["let ${1:a} = 1", "$0"], description: "A value" } }));
  let answers = false;
  const snippets = new Snippets(file, () => !answers);
  const at = (text) => snippets.provideCompletionItems({ lineAt: () => ({ text }) }, { character: text.length });
  const [item] = await at("le");
  assert.deepEqual(
    [item.label, item.insertText.value, item.documentation],
    [{ label: "let", description: "Let" }, "let ${1:a} = 1\n$0", "A value"],
  );
  for (const text of ["", "  trai", "  train = par", "stage on", "  model = [par", "a { b"]) {
    assert.equal((await at(text))?.length, 1, text);
  }
  for (const text of ["# le", 'a = "le', 'a = "b, le', "a.le", `${"word".repeat(5000)}.`]) {
    assert.equal(await at(text), undefined, text.slice(0, 20));
  }
  answers = true;
  assert.equal(await at("le"), undefined);
});

test("a proposal that was taken over leads to the next question", () => {
  const after = (text) => {
    const item = { insertText: typeof text === "string" ? new SnippetString(text) : text };
    assert.equal(continued([item])[0], item);
    assert.equal(continued({ isIncomplete: true, items: [item] }).items[0], item);
    return item.command?.command;
  };
  const hints = "editor.action.triggerParameterHints";
  const suggest = "editor.action.triggerSuggest";
  assert.equal(after("torch.optim.AdamW($1)"), hints);
  assert.equal(after("Recognizer(n_mels = $1)"), hints);
  assert.equal(after("optimizer = $1"), suggest);
  assert.equal(after('accelerator = "$1"'), suggest);
  assert.equal(after('digits(split = "$1")'), suggest);
  assert.equal(after("callbacks = [$1]"), suggest);
  // Tab goes on from what stands there; choices show themselves; a block begins with a new line.
  for (const text of ["lr = ${1:4e-3}", "shuffle = ${1|true,false|}", "trainer {\n  $0\n}", "src.model.Plain()", "a = (\n  $1\n)"]) {
    assert.equal(after(text), undefined, text);
  }
  assert.equal(after({ kind: "not a snippet" }), undefined);
  assert.equal(continued(undefined), undefined);
  const own = { insertText: new SnippetString("a = $1"), command: { command: "its own" } };
  assert.equal(continued([own])[0].command.command, "its own");
});
