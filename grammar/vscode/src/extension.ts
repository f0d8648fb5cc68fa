// Where VS Code begins.

import * as vscode from "vscode";
import { explaining } from "./explain";
import { BackToRecipe, GENERATED } from "./generated";
import { Graphs } from "./graph";
import { onChange } from "./python";
import { chooseStages, recipeOf } from "./recipes";
import { Server } from "./server";
import { Snippets } from "./snippets";
import { type Command, Tasks } from "./tasks";

let server: Server | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const { version } = context.extension.packageJSON as { version: string };
  const started = (server = new Server(context.extensionUri, version));
  const tasks = new Tasks(started);
  const graphs = new Graphs(started);

  const inTerminal = (command: Command) => async (given?: unknown, stage?: unknown) => {
    const recipe = await recipeOf(given);
    if (recipe !== undefined) {
      await tasks.run(recipe, command, typeof stage === "string" ? [stage] : []);
    }
  };
  // The server's code lenses name a stage, or say null for all of them; who comes from elsewhere chooses.
  const runStage = async (given?: unknown, stage?: unknown): Promise<void> => {
    const recipe = await recipeOf(given);
    const named = typeof stage === "string" ? [stage] : stage === null ? [] : undefined;
    const stages = recipe && (named ?? (await chooseStages(started, recipe)));
    if (recipe !== undefined && stages !== undefined) {
      await tasks.run(recipe, "run", stages);
    }
  };
  const graph = async (given?: unknown): Promise<void> => {
    const recipe = await recipeOf(given);
    if (recipe !== undefined) {
      await graphs.show(recipe);
    }
  };

  context.subscriptions.push(
    started,
    graphs,
    vscode.commands.registerCommand("esp3c.build", inTerminal("build")),
    vscode.commands.registerCommand("esp3c.plan", inTerminal("plan")),
    vscode.commands.registerCommand("esp3c.runStage", runStage),
    vscode.commands.registerCommand("esp3c.graph", graph),
    vscode.commands.registerCommand("esp3c.restart", () => started.restart()),
    vscode.commands.registerCommand("esp3c.showOutput", () => started.showOutput()),
    ...explaining(started),
    vscode.languages.registerDefinitionProvider(
      GENERATED.map((pattern) => ({ scheme: "file", pattern })),
      new BackToRecipe(started),
    ),
    vscode.languages.registerCompletionItemProvider(
      { language: "esp" },
      new Snippets(vscode.Uri.joinPath(context.extensionUri, "snippets", "esp.json"), () => !started.answers),
    ),
    vscode.tasks.registerTaskProvider("esp3c", tasks),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("esp3c.path")) {
        void started.restart();
      }
    }),
  );
  // Not waited for: commands are there at once.
  void begin(context, started);
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}

/** From the first recipe that is open in a trusted workspace, the server runs, and follows the choice of the interpreter. */
async function begin(context: vscode.ExtensionContext, server: Server): Promise<void> {
  if (!vscode.workspace.textDocuments.some(isRecipe)) {
    await next(context, (done) =>
      vscode.workspace.onDidOpenTextDocument((document) => {
        if (isRecipe(document)) {
          done();
        }
      }),
    );
  }
  await server.start();
  if (!vscode.workspace.isTrusted) {
    await next(context, (done) => vscode.workspace.onDidGrantWorkspaceTrust(done));
    await server.start();
  }
  context.subscriptions.push(await onChange(() => void server.reconsider()));
}

function isRecipe(document: vscode.TextDocument): boolean {
  return document.languageId === "esp";
}

/** Waits for the first time that something happens. */
function next(context: vscode.ExtensionContext, listen: (done: () => void) => vscode.Disposable): Promise<void> {
  return new Promise((resolve) => {
    const listener = listen(() => {
      listener.dispose();
      resolve();
    });
    context.subscriptions.push(listener);
  });
}
