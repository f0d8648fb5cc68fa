// The language server: started, restarted, and what is said where it cannot be.

import * as vscode from "vscode";
import {
  DefinitionRequest,
  DidCloseTextDocumentNotification,
  DidOpenTextDocumentNotification,
  LanguageClient,
  RevealOutputChannelOn,
} from "vscode-languageclient/node";
import { continued } from "./completing";
import { withPage } from "./explain";
import { type Esp3c, find, NotFound } from "./find";
import type { Asked } from "./generated";
import { hasPython } from "./python";

export const SELECTOR = [
  { scheme: "file", language: "esp" },
  { scheme: "untitled", language: "esp" },
];

export class Server implements vscode.Disposable, Asked {
  private readonly log = vscode.window.createOutputChannel("esp3c", { log: true });
  private readonly trace = vscode.window.createOutputChannel("esp3c trace");
  private readonly status = vscode.languages.createLanguageStatusItem("esp3c", { language: "esp" });
  private readonly found = new Map<string, Promise<Esp3c>>();
  private client: LanguageClient | undefined;
  private running: string | undefined;
  /** What is done to the client is done one after the other. */
  private last: Promise<void> = Promise.resolve();
  /** Questions about texts that the server does not have, one after the other. */
  private asked: Promise<unknown> = Promise.resolve();
  private told = false;

  /** @param made The version of esp3c that this extension is made for. */
  constructor(
    private readonly extension: vscode.Uri,
    private readonly made: string,
  ) {
    this.status.name = "esp3c";
  }

  /** The esp3c for a file or folder; undefined where there is none, which has been said then. */
  async esp3c(resource: vscode.Uri | undefined): Promise<Esp3c | undefined> {
    if (!vscode.workspace.isTrusted) {
      void vscode.window.showWarningMessage("esp3c runs the workspace's Python, so it needs a trusted workspace.");
      return undefined;
    }
    try {
      return await this.lookUp(folderOf(resource));
    } catch (error) {
      this.tell(error);
      return undefined;
    }
  }

  /** Starts the server, or says why it cannot be. */
  start(): Promise<void> {
    return this.enqueue(async () => {
      if (this.client === undefined) {
        await this.begin();
      }
    });
  }

  restart(): Promise<void> {
    this.found.clear();
    this.told = false;
    return this.enqueue(async () => {
      await this.end();
      await this.begin();
    });
  }

  /** Looks again for esp3c, and restarts where another one is found. */
  reconsider(): Promise<void> {
    this.found.clear();
    this.told = false;
    return this.enqueue(async () => {
      const now = await this.lookUp(folderOf(undefined)).then(key, () => undefined);
      if (now === undefined || now !== this.running) {
        await this.end();
        await this.begin();
      }
    });
  }

  /** Asks about a text of another language, which the server has for the time of this question alone. */
  definition(
    document: vscode.TextDocument,
    position: vscode.Position,
    token: vscode.CancellationToken,
  ): ReturnType<Asked["definition"]> {
    const answer = this.asked.then(async () => {
      // Where it was told that there is no server, who reads a file is not told again.
      if (this.client === undefined && vscode.workspace.isTrusted && !this.told) {
        await this.start();
      }
      const client = this.client;
      if (client === undefined || token.isCancellationRequested) {
        return undefined;
      }
      const { code2ProtocolConverter: to, protocol2CodeConverter: from } = client;
      await client.sendNotification(DidOpenTextDocumentNotification.type, to.asOpenTextDocumentParams(document));
      try {
        const params = to.asTextDocumentPositionParams(document, position);
        return from.asDefinitionResult(await client.sendRequest(DefinitionRequest.type, params, token), token);
      } finally {
        await client.sendNotification(DidCloseTextDocumentNotification.type, to.asCloseTextDocumentParams(document));
      }
    });
    this.asked = answer.catch(() => undefined);
    return answer;
  }

  /** Whether there is a server that answers. */
  get answers(): boolean {
    return this.client?.isRunning() ?? false;
  }

  showOutput(): void {
    this.log.show(true);
  }

  dispose(): void {
    void this.enqueue(() => this.end());
    this.status.dispose();
    void this.last.finally(() => {
      this.log.dispose();
      this.trace.dispose();
    });
  }

  /** Waits until the server is gone. */
  async stop(): Promise<void> {
    await this.enqueue(() => this.end());
  }

  private enqueue(step: () => Promise<void>): Promise<void> {
    this.last = this.last.then(step).catch((error: unknown) => {
      this.log.error(error instanceof Error ? error : String(error));
    });
    return this.last;
  }

  private lookUp(folder: vscode.WorkspaceFolder | undefined): Promise<Esp3c> {
    const name = folder?.uri.toString() ?? "";
    const known = this.found.get(name) ?? find(folder, this.made, this.log);
    this.found.set(name, known);
    known.catch(() => this.found.delete(name));
    return known;
  }

  private async begin(): Promise<void> {
    if (!vscode.workspace.isTrusted) {
      this.show("not started", "the workspace is not trusted", vscode.LanguageStatusSeverity.Warning);
      return;
    }
    this.status.busy = true;
    try {
      const folder = folderOf(undefined);
      const esp3c = await this.lookUp(folder);
      const [command, ...rest] = esp3c.words;
      this.client = new LanguageClient(
        "esp3c",
        "esp3c",
        { command, args: [...rest, "lsp"], options: folder ? { cwd: folder.uri.fsPath } : {} },
        {
          documentSelector: SELECTOR,
          synchronize: { configurationSection: "esp3c" },
          outputChannel: this.log,
          traceOutputChannel: this.trace,
          revealOutputChannelOn: RevealOutputChannelOn.Never,
          middleware: {
            handleDiagnostics: (uri, diagnostics, next) => next(uri, diagnostics.map(withPage)),
            provideCompletionItem: async (document, position, context, token, next) =>
              continued(await next(document, position, context, token)),
          },
        },
      );
      await this.client.start();
      this.running = key(esp3c);
      this.show(`esp3c ${esp3c.version}`, esp3c.words.join(" "), vscode.LanguageStatusSeverity.Information);
    } catch (error) {
      await this.end();
      this.show("not started", error instanceof Error ? error.message : String(error), vscode.LanguageStatusSeverity.Error);
      this.tell(error);
    } finally {
      this.status.busy = false;
    }
  }

  private async end(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    this.running = undefined;
    try {
      await client?.dispose();
    } catch (error) {
      // One that has failed to start, or has died, cannot be asked to stop.
      this.log.debug(error instanceof Error ? error.message : String(error));
    }
  }

  private show(text: string, detail: string, severity: vscode.LanguageStatusSeverity): void {
    this.status.text = text;
    this.status.detail = detail;
    this.status.severity = severity;
    this.status.command = { command: "esp3c.restart", title: "Restart" };
  }

  /** Once, until something changes: who writes a recipe without esp3c need not be told at every turn. */
  private tell(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.log.error(message);
    if (this.told) {
      return;
    }
    this.told = true;
    const missing = error instanceof NotFound;
    const actions: [string, () => unknown][] = [
      ["Open Setting", () => openSetting()],
      ["How to Install", () => this.readme()],
      ["Retry", () => this.restart()],
    ];
    if (missing && !error.set && hasPython()) {
      actions.unshift(["Select Interpreter", () => vscode.commands.executeCommand("python.setInterpreter")]);
    }
    if (!missing) {
      actions.unshift(["Show Output", () => this.showOutput()]);
    }
    const text = missing ? message : `esp3c's language server could not be started: ${message}`;
    void vscode.window
      .showErrorMessage(text, ...actions.map(([title]) => title))
      .then((chosen) => actions.find(([title]) => title === chosen)?.[1]());
  }

  private async readme(): Promise<void> {
    // Packaging writes its name in small letters.
    const names = (await vscode.workspace.fs.readDirectory(this.extension)).map(([name]) => name);
    const name = names.find((each) => each.toLowerCase() === "readme.md") ?? "README.md";
    await vscode.commands.executeCommand("markdown.showPreview", vscode.Uri.joinPath(this.extension, name));
  }
}

/** In the workspace's settings, where there is a workspace: a person's own do not reach another machine. */
async function openSetting(): Promise<void> {
  const whose = vscode.workspace.workspaceFolders ? "openWorkspaceSettings" : "openSettings";
  await vscode.commands.executeCommand(`workbench.action.${whose}`, { query: "esp3c.path" });
}

function key(esp3c: Esp3c): string {
  return JSON.stringify([esp3c.words, esp3c.version]);
}

/** The folder of a file; without one, that of the recipe in sight, or the first. */
function folderOf(resource: vscode.Uri | undefined): vscode.WorkspaceFolder | undefined {
  const seen = resource ?? vscode.window.activeTextEditor?.document.uri;
  const own = seen && vscode.workspace.getWorkspaceFolder(seen);
  return own ?? vscode.workspace.workspaceFolders?.find((folder) => folder.uri.scheme === "file");
}
