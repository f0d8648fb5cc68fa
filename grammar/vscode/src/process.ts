// What esp3c prints.

import { spawn } from "node:child_process";
import type { Esp3c } from "./find";

export interface Output {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs esp3c to its end. Nothing of what it says reaches a shell. */
export function output(esp3c: Esp3c, args: readonly string[], cwd: string | undefined): Promise<Output> {
  const [command, ...rest] = esp3c.words;
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...rest, ...args], {
      ...(cwd === undefined ? {} : { cwd }),
      stdio: ["ignore", "pipe", "pipe"],
      windowsHide: true,
    });
    const texts = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => (texts.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (texts.stderr += text));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...texts }));
  });
}
