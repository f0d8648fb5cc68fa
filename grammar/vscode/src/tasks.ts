// Tasks of the type `esp3c`: build, check, plan and run, with the problem matcher of the same name.

import { dirname, isAbsolute, join } from "node:path";
import * as vscode from "vscode";
import type { Esp3c } from "./find";
import { recipes } from "./recipes";
import type { Server } from "./server";

const COMMANDS = ["build", "check", "plan", "run"] as const;
export type Command = (typeof COMMANDS)[number];

interface Definition extends vscode.TaskDefinition {
  readonly command: Command;
  readonly recipe?: string;
  readonly stages?: readonly string[];
  readonly args?: readonly string[];
}

export class Tasks implements vscode.TaskProvider {
  constructor(private readonly server: Server) {}

  /** Each command for each recipe of the workspace. */
  async provideTasks(): Promise<vscode.Task[]> {
    if (!vscode.workspace.isTrusted) {
      return [];
    }
    const tasks: vscode.Task[] = [];
    for (const recipe of await recipes()) {
      for (const command of COMMANDS) {
        const task = await this.task(recipe, command, []);
        if (task === undefined) {
          return tasks;
        }
        tasks.push(task);
      }
    }
    return tasks;
  }

  /** A task of tasks.json, with its command line. */
  async resolveTask(task: vscode.Task): Promise<vscode.Task | undefined> {
    const definition = task.definition as Definition;
    const folder = typeof task.scope === "object" ? task.scope : vscode.workspace.workspaceFolders?.[0];
    const recipe = definition.recipe ?? "recipe.esp";
    const path = isAbsolute(recipe) ? recipe : folder && join(folder.uri.fsPath, recipe);
    const esp3c = path && COMMANDS.includes(definition.command) ? await this.server.esp3c(vscode.Uri.file(path)) : undefined;
    if (path === undefined || esp3c === undefined) {
      return undefined;
    }
    return made(esp3c, definition, task.scope ?? vscode.TaskScope.Workspace, task.name, path);
  }

  /** Runs one command in a terminal. */
  async run(recipe: vscode.Uri, command: Command, stages: readonly string[]): Promise<void> {
    const task = await this.task(recipe, command, stages);
    if (task !== undefined) {
      await vscode.tasks.executeTask(task);
    }
  }

  private async task(recipe: vscode.Uri, command: Command, stages: readonly string[]): Promise<vscode.Task | undefined> {
    const esp3c = await this.server.esp3c(recipe);
    if (esp3c === undefined) {
      return undefined;
    }
    const folder = vscode.workspace.getWorkspaceFolder(recipe);
    const name = vscode.workspace.asRelativePath(recipe, false);
    const definition: Definition = {
      type: "esp3c",
      command,
      recipe: folder ? name : recipe.fsPath,
      ...(stages.length > 0 ? { stages } : {}),
    };
    return made(esp3c, definition, folder ?? vscode.TaskScope.Workspace, [command, name, ...stages].join(" "), recipe.fsPath);
  }
}

function made(
  esp3c: Esp3c,
  definition: Definition,
  scope: vscode.WorkspaceFolder | vscode.TaskScope,
  name: string,
  path: string,
): vscode.Task {
  const [command, ...rest] = esp3c.words;
  const stages = definition.stages ?? [];
  const words = [definition.command, path, ...(stages.length > 0 ? ["--stages", ...stages] : []), ...(definition.args ?? [])];
  const execution = new vscode.ProcessExecution(command, [...rest, ...words], { cwd: dirname(path) });
  const task = new vscode.Task(definition, scope, name, "esp3c", execution, ["$esp3c"]);
  task.presentationOptions = { clear: true, panel: vscode.TaskPanelKind.Dedicated };
  if (definition.command === "build") {
    task.group = vscode.TaskGroup.Build;
  }
  return task;
}
