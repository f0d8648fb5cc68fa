// The drawing of a recipe beside it, drawn again when it is saved.

import { randomBytes } from "node:crypto";
import { basename, dirname } from "node:path";
import * as vscode from "vscode";
import { output } from "./process";
import type { Server } from "./server";

export class Graphs implements vscode.Disposable {
  private readonly open = new Map<string, vscode.WebviewPanel>();
  private readonly drawn = new Map<string, string>();
  private readonly saved: vscode.Disposable;

  constructor(private readonly server: Server) {
    this.saved = vscode.workspace.onDidSaveTextDocument((document) => {
      if (this.open.has(document.uri.toString())) {
        void this.draw(document.uri);
      }
    });
  }

  /** Shows the drawing of a recipe beside what is seen now. */
  async show(recipe: vscode.Uri): Promise<void> {
    const name = recipe.toString();
    const known = this.open.get(name);
    if (known) {
      known.reveal(undefined, true);
    } else {
      const panel = vscode.window.createWebviewPanel(
        "esp3c.graph",
        `Graph of ${basename(dirname(recipe.fsPath))}`,
        { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true },
        { enableScripts: false, localResourceRoots: [] },
      );
      panel.onDidDispose(() => {
        this.open.delete(name);
        this.drawn.delete(name);
      });
      this.open.set(name, panel);
    }
    await this.draw(recipe);
  }

  dispose(): void {
    this.saved.dispose();
    for (const panel of [...this.open.values()]) {
      panel.dispose();
    }
  }

  private async draw(recipe: vscode.Uri): Promise<void> {
    const name = recipe.toString();
    const esp3c = await this.server.esp3c(recipe);
    const answer = esp3c && (await output(esp3c, ["graph", recipe.fsPath, "--format", "svg"], dirname(recipe.fsPath)));
    const panel = this.open.get(name);
    if (panel === undefined) {
      return;
    }
    const good = answer?.code === 0;
    if (good) {
      this.drawn.set(name, answer.stdout);
    }
    panel.webview.html = page(this.drawn.get(name), good ? "" : (answer?.stderr || answer?.stdout) ?? "esp3c was not found.");
  }
}

/** A page without scripts: the drawing is a picture, which can neither run nor load anything. */
function page(drawing: string | undefined, problem: string): string {
  const nonce = randomBytes(16).toString("base64");
  const picture = drawing === undefined ? "" : `<img alt="The graph of the recipe" src="data:image/svg+xml;base64,${base64(drawing)}">`;
  const said = drawing === undefined ? "A recipe with errors is not drawn." : "The recipe has errors. This was drawn before.";
  const note = problem === "" ? "" : `<p>${said}</p><pre>${escaped(problem.trim())}</pre>`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'nonce-${nonce}'">
<title>Graph</title>
<style nonce="${nonce}">
  body { padding: 1em; }
  pre { white-space: pre-wrap; color: var(--vscode-errorForeground); font-family: var(--vscode-editor-font-family); }
  .vscode-dark img, .vscode-high-contrast img { color-scheme: dark; }
  .vscode-light img, .vscode-high-contrast-light img { color-scheme: light; }
</style>
</head>
<body>${note}${picture}</body>
</html>`;
}

function base64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

function escaped(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
