// Which esp3c is started: the one of the setting, else the first of the workspace's Python environments that has it.

import { execFile } from "node:child_process";
import { access } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import * as vscode from "vscode";
import { interpreter } from "./python";

/** A command line that is esp3c, and where it was found. */
export interface Esp3c {
  readonly words: readonly [string, ...string[]];
  readonly from: string;
  readonly version: string;
}

/** Why there is no esp3c to start, in words for the user. */
export class NotFound extends Error {
  constructor(
    message: string,
    /** The setting names it: only the setting can mend it. */
    readonly set: boolean,
    /** One was found, of another version. */
    readonly other: boolean,
  ) {
    super(message);
  }
}

interface Candidate {
  readonly words: readonly [string, ...string[]];
  readonly from: string;
}

/** How long a Python may take to start and say its version, in milliseconds. */
const PATIENCE = 30_000;

/**
 * The esp3c for what lies in a folder.
 *
 * @param made The version that this extension is made for.
 * @throws NotFound There is none, or none of this version.
 */
export async function find(
  folder: vscode.WorkspaceFolder | undefined,
  made: string,
  log: vscode.LogOutputChannel,
): Promise<Esp3c> {
  const set = fromSetting(folder);
  const tried: string[] = [];
  const others: string[] = [];
  for await (const candidate of set ? [set] : environments(folder, log)) {
    const answer = await ask(candidate, folder);
    if (answer instanceof Error) {
      log.info(`${candidate.from}: ${candidate.words.join(" ")}: ${answer.message}`);
      tried.push(candidate.from);
    } else if (!fits(answer, made)) {
      log.warn(`${candidate.from}: ${candidate.words.join(" ")} is esp3c ${answer}, and this extension is made for ${made}`);
      others.push(`${answer} (${candidate.from})`);
    } else {
      log.info(`${candidate.from}: ${candidate.words.join(" ")} is esp3c ${answer}`);
      return { ...candidate, version: answer };
    }
  }
  if (others.length > 0) {
    const series = made.split(".").slice(0, 2).join(".");
    throw new NotFound(
      `esp3c ${others.join(", ")} was found, and this extension is made for esp3c ${made}. Install esp3c ${series} there, or the extension that comes with it.`,
      set !== undefined,
      true,
    );
  }
  if (set) {
    throw new NotFound(`The setting esp3c.path names \`${set.words.join(" ")}\`, which does not start esp3c.`, true, false);
  }
  throw new NotFound(
    `esp3c was not found (looked in: ${tried.join(", ")}). Install it in the workspace's Python environment, or set esp3c.path.`,
    false,
    false,
  );
}

/** Releases of one major.minor understand each other. */
function fits(version: string, made: string): boolean {
  const [major, minor] = version.split(".");
  const [madeMajor, madeMinor] = made.split(".");
  return major === madeMajor && minor === madeMinor;
}

function fromSetting(folder: vscode.WorkspaceFolder | undefined): Candidate | undefined {
  const value = vscode.workspace.getConfiguration("esp3c", folder).get<unknown>("path");
  const words = (Array.isArray(value) ? value : [value])
    .filter((word): word is string => typeof word === "string" && word.trim() !== "")
    .map((word) => replaced(word.trim(), folder));
  const [first, ...rest] = words;
  return first === undefined ? undefined : { words: [first, ...rest], from: "the setting esp3c.path" };
}

function replaced(word: string, folder: vscode.WorkspaceFolder | undefined): string {
  return word
    .replace(/^~(?=[/\\]|$)/, homedir())
    .replace(/\$\{workspaceFolder\}/g, folder?.uri.fsPath ?? "")
    .replace(/\$\{env:([^}]*)\}/g, (_, name: string) => process.env[name] ?? "");
}

async function* environments(
  folder: vscode.WorkspaceFolder | undefined,
  log: vscode.LogOutputChannel,
): AsyncGenerator<Candidate> {
  const chosen = await interpreter(folder?.uri).catch((error: unknown) => {
    // Another extension's trouble: the other places are looked at all the same.
    log.warn(`the Python extension does not say its interpreter: ${String(error)}`);
    return undefined;
  });
  if (chosen !== undefined) {
    yield module(chosen, "the interpreter of the Python extension");
  }
  const places: [string, string | undefined][] = [
    [".venv of the workspace", folder && join(folder.uri.fsPath, ".venv")],
    ["venv of the workspace", folder && join(folder.uri.fsPath, "venv")],
    ["VIRTUAL_ENV", process.env["VIRTUAL_ENV"]],
    ["CONDA_PREFIX", process.env["CONDA_PREFIX"]],
  ];
  for (const [from, place] of places) {
    const python = place && (await pythonOf(place));
    if (python) {
      yield module(python, from);
    }
  }
  yield { words: ["esp3c"], from: "PATH" };
}

/** `-P`: a folder of the workspace that is called `esp3c` must not be taken for it. */
function module(python: string, from: string): Candidate {
  return { words: [python, "-P", "-m", "esp3c"], from };
}

async function pythonOf(environment: string): Promise<string | undefined> {
  const places =
    process.platform === "win32"
      ? [join("Scripts", "python.exe"), "python.exe"]
      : [join("bin", "python"), join("bin", "python3")];
  for (const place of places) {
    const python = join(environment, place);
    try {
      await access(python);
      return python;
    } catch {
      continue;
    }
  }
  return undefined;
}

function ask(candidate: Candidate, folder: vscode.WorkspaceFolder | undefined): Promise<string | Error> {
  const [command, ...rest] = candidate.words;
  const cwd = folder?.uri.fsPath ?? dirname(process.execPath);
  return new Promise((resolve) => {
    execFile(command, [...rest, "--version"], { cwd, timeout: PATIENCE, windowsHide: true }, (error, stdout, stderr) => {
      const version = /^esp3c (\d+\.\d+\S*)\s*$/m.exec(stdout)?.[1];
      if (error) {
        resolve(new Error((stderr.trim().split("\n").pop() ?? "") || error.message));
      } else {
        resolve(version ?? new Error(`it answers --version with ${JSON.stringify(stdout.trim().slice(0, 80))}`));
      }
    });
  });
}
