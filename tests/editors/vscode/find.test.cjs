// Which esp3c is started, asked of src/find.ts with real processes and a stand-in for VS Code.
//
//   ESP3C_CLIENT=FOLDER node --test find.test.cjs        FOLDER/find.js is src/find.ts, bundled with `vscode` left out

const assert = require("node:assert/strict");
const { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } = require("node:fs");
const Module = require("node:module");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { afterEach, beforeEach, test } = require("node:test");

const state = { setting: null, python: undefined, lines: [] };
const vscode = {
  workspace: { getConfiguration: () => ({ get: () => state.setting }) },
  extensions: { getExtension: () => state.python },
};
const load = Module._load;
Module._load = (name, ...rest) => (name === "vscode" ? vscode : load(name, ...rest));
const { find, NotFound } = require(join(process.env.ESP3C_CLIENT, "find.js"));

const log = { info: (line) => state.lines.push(line), warn: (line) => state.lines.push(line) };
const kept = { ...process.env };
let root;
let folder;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "esp3c-find-"));
  mkdirSync(join(root, "workspace"));
  folder = { uri: { fsPath: join(root, "workspace") }, name: "workspace", index: 0 };
  Object.assign(state, { setting: null, python: undefined, lines: [] });
  for (const name of ["VIRTUAL_ENV", "CONDA_PREFIX"]) {
    delete process.env[name];
  }
  process.env.PATH = `${join(root, "bin")}:/usr/bin:/bin`;
});

afterEach(() => {
  Object.assign(process.env, kept);
  rmSync(root, { recursive: true });
});

/** A program that answers `--version` as told, where it is called as `python -P -m esp3c` or `esp3c`. */
function program(path, version, code = 0) {
  const file = join(root, path);
  mkdirSync(join(file, ".."), { recursive: true });
  const expected = path.includes("python") ? '"-P -m esp3c --version"' : '"--version"';
  writeFileSync(file, `#!/bin/sh\n[ "$*" = ${expected} ] || exit 9\necho "${version}"\nexit ${code}\n`);
  chmodSync(file, 0o755);
  return file;
}

function chosenInPython(path) {
  state.python = {
    isActive: false,
    activate: async () => ({
      environments: {
        getActiveEnvironmentPath: () => ({ path }),
        resolveEnvironment: async () => ({ executable: { uri: { fsPath: path } } }),
      },
    }),
  };
}

const places = {
  chosen: "chosen/bin/python",
  dotVenv: "workspace/.venv/bin/python",
  venv: "workspace/venv/bin/python3",
  active: "active/bin/python",
  conda: "conda/bin/python",
  onPath: "bin/esp3c",
};

test("each place is asked in its turn, and the first that answers is taken", async () => {
  const files = Object.fromEntries(Object.entries(places).map(([name, path]) => [name, program(path, "esp3c 1.2.3")]));
  process.env.VIRTUAL_ENV = join(root, "active");
  process.env.CONDA_PREFIX = join(root, "conda");
  chosenInPython(files.chosen);
  for (const name of Object.keys(places)) {
    const found = await find(folder, "1.2.0", log);
    assert.equal(found.words[0], name === "onPath" ? "esp3c" : files[name], name);
    assert.equal(found.version, "1.2.3");
    program(places[name], "No module named esp3c", 1);
  }
  await assert.rejects(find(folder, "1.2.0", log), (error) => {
    assert.ok(error instanceof NotFound && !error.set && !error.other);
    assert.match(error.message, /Python extension.*\.venv.*VIRTUAL_ENV.*CONDA_PREFIX.*PATH/);
    return true;
  });
});

test("the setting alone is asked where it is set", async () => {
  const own = program("elsewhere/esp3c", "esp3c 1.2.9");
  program(places.dotVenv, "esp3c 1.2.0");
  state.setting = own;
  assert.deepEqual((await find(folder, "1.2.0", log)).words, [own]);
  state.setting = ["${workspaceFolder}/../elsewhere/esp3c"];
  assert.equal((await find(folder, "1.2.0", log)).version, "1.2.9");
  process.env.PLACE = join(root, "elsewhere");
  state.setting = "${env:PLACE}/esp3c";
  assert.deepEqual((await find(folder, "1.2.0", log)).words, [own]);
  state.setting = join(root, "nowhere");
  await assert.rejects(find(folder, "1.2.0", log), (error) => error.set && /esp3c\.path/.test(error.message));
});

test("one of another major.minor is passed over, and named where there is no other", async () => {
  program(places.dotVenv, "esp3c 1.3.0");
  const fits = program(places.venv, "esp3c 1.2.7");
  assert.equal((await find(folder, "1.2.0", log)).words[0], fits);
  program(places.venv, "esp3c 2.2.0");
  await assert.rejects(find(folder, "1.2.0", log), (error) => {
    assert.ok(error.other && !error.set);
    assert.match(error.message, /1\.3\.0 .*2\.2\.0 .*made for esp3c 1\.2\.0/);
    return true;
  });
});

test("what is no esp3c is passed over, and so is a Python extension in trouble", async () => {
  program(places.dotVenv, "Python 3.12.1");
  const fits = program(places.venv, "esp3c 1.2.0");
  state.python = { isActive: true, exports: { environments: { getActiveEnvironmentPath: () => { throw new Error("trouble"); } } } };
  assert.equal((await find(folder, "1.2.0", log)).words[0], fits);
  assert.match(state.lines.join("\n"), /trouble/);
  assert.match(state.lines.join("\n"), /Python 3\.12\.1/);
});
