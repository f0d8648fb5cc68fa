// The page of an error code, as `esp3c explain` prints it.

import * as vscode from "vscode";
import { output } from "./process";
import type { Server } from "./server";

const SCHEME = "esp3c-explain";
const CODE = /^ESP\d{4}$/;

function pageOf(code: string): vscode.Uri {
  return vscode.Uri.from({ scheme: SCHEME, path: `/${code}.md` });
}

/** The diagnostic with a link from its code to its page as it is read, not to the file that the server names. */
export function withPage(diagnostic: vscode.Diagnostic): vscode.Diagnostic {
  const code = typeof diagnostic.code === "object" ? diagnostic.code.value : diagnostic.code;
  if (typeof code === "string" && CODE.test(code)) {
    const query = encodeURIComponent(JSON.stringify([code]));
    diagnostic.code = { value: code, target: vscode.Uri.parse(`command:esp3c.explain?${query}`) };
  }
  return diagnostic;
}

/** Shows pages under their own scheme, and gives the command `esp3c.explain` its meaning. */
export function explaining(server: Server): vscode.Disposable[] {
  const provider: vscode.TextDocumentContentProvider = {
    async provideTextDocumentContent(uri) {
      const code = uri.path.replace(/^\//, "").replace(/\.md$/, "");
      const text = CODE.test(code) ? await ask(server, [code]) : undefined;
      return text === undefined ? `There is no page for ${code}.\n` : `# ${text}`;
    },
  };
  const explain = async (code?: unknown): Promise<void> => {
    const chosen = typeof code === "string" && CODE.test(code) ? code : await choose(server);
    if (chosen !== undefined) {
      await vscode.commands.executeCommand("markdown.showPreview", pageOf(chosen));
    }
  };
  return [
    vscode.workspace.registerTextDocumentContentProvider(SCHEME, provider),
    vscode.commands.registerCommand("esp3c.explain", explain),
  ];
}

async function ask(server: Server, words: readonly string[]): Promise<string | undefined> {
  const esp3c = await server.esp3c(undefined);
  if (esp3c === undefined) {
    return undefined;
  }
  const answer = await output(esp3c, ["explain", ...words], undefined);
  return answer.code === 0 ? answer.stdout : undefined;
}

interface CodeItem extends vscode.QuickPickItem {
  readonly code: string;
}

/** One of all codes, those at the cursor first. */
async function choose(server: Server): Promise<string | undefined> {
  const text = await ask(server, []);
  if (text === undefined) {
    return undefined;
  }
  const here = codesAtCursor();
  const items = text
    .split("\n")
    .map((line) => /^(ESP\d{4})\s+(\S+)\s+(\S+)\s+(.*)$/.exec(line))
    .filter((found) => found !== null)
    .map(
      (found): CodeItem => ({
        code: found[1] ?? "",
        label: `${found[1] ?? ""}: ${found[4] ?? ""}`,
        description: `${found[2] ?? ""}, ${found[3] ?? ""}`,
      }),
    );
  items.sort((one, other) => Number(here.has(other.code)) - Number(here.has(one.code)));
  const chosen = await vscode.window.showQuickPick(items, { placeHolder: "The code to explain", matchOnDescription: true });
  return chosen?.code;
}

function codesAtCursor(): ReadonlySet<string> {
  const editor = vscode.window.activeTextEditor;
  if (editor === undefined) {
    return new Set();
  }
  return new Set(
    vscode.languages
      .getDiagnostics(editor.document.uri)
      .filter((each) => each.range.intersection(editor.selection) !== undefined)
      .map((each) => String(typeof each.code === "object" ? each.code.value : each.code)),
  );
}
