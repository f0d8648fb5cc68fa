// Which recipe a command is about, and what stages it has.

import { dirname } from "node:path";
import * as vscode from "vscode";
import { output } from "./process";
import type { Server } from "./server";

/** The recipe that a command was called with, else that of the editor, else one that is chosen. It is saved. */
export async function recipeOf(given: unknown): Promise<vscode.Uri | undefined> {
  const uri = uriOf(given) ?? inSight() ?? (await choose());
  const open = uri && vscode.workspace.textDocuments.find((each) => each.uri.toString() === uri.toString());
  if (open?.isDirty && !(await open.save())) {
    void vscode.window.showWarningMessage("The recipe could not be saved, so nothing was done with it.");
    return undefined;
  }
  return uri;
}

function uriOf(given: unknown): vscode.Uri | undefined {
  if (given instanceof vscode.Uri) {
    return given;
  }
  return typeof given === "string" ? vscode.Uri.parse(given) : undefined;
}

function inSight(): vscode.Uri | undefined {
  const document = vscode.window.activeTextEditor?.document;
  return document?.languageId === "esp" && document.uri.scheme === "file" ? document.uri : undefined;
}

async function choose(): Promise<vscode.Uri | undefined> {
  const found = await recipes();
  if (found.length === 0) {
    void vscode.window.showInformationMessage("There is no recipe.esp in this workspace. `esp3c init NAME` begins one.");
    return undefined;
  }
  const items = found.map((uri) => ({ label: vscode.workspace.asRelativePath(uri), uri }));
  return items.length === 1 ? items[0]?.uri : (await vscode.window.showQuickPick(items, { placeHolder: "The recipe" }))?.uri;
}

/** The recipes of the workspace, by path. */
export async function recipes(): Promise<vscode.Uri[]> {
  const found = await vscode.workspace.findFiles("**/recipe.esp", "**/{node_modules,.venv,venv,.esp3c}/**", 200);
  return found.sort((one, other) => (one.path < other.path ? -1 : 1));
}

interface StageItem extends vscode.QuickPickItem {
  readonly stages: readonly string[];
}

/** The stages to run: all of them as an empty list, undefined where none was chosen. */
export async function chooseStages(server: Server, recipe: vscode.Uri): Promise<readonly string[] | undefined> {
  const esp3c = await server.esp3c(recipe);
  if (esp3c === undefined) {
    return undefined;
  }
  const answer = await output(esp3c, ["plan", recipe.fsPath, "--format", "json"], dirname(recipe.fsPath));
  const stages = stagesIn(answer.stdout);
  if (stages === undefined) {
    const chosen = await vscode.window.showErrorMessage("The recipe has errors, so its stages are not known.", "Show Problems");
    if (chosen !== undefined) {
      await vscode.commands.executeCommand("workbench.actions.view.problems");
    }
    return undefined;
  }
  const items: StageItem[] = [
    { label: "all stages", description: stages.map((each) => each.name).join(", "), stages: [] },
    ...stages.map((each) => ({ label: each.name, description: each.where, detail: each.earlier, stages: [each.name] })),
  ];
  const chosen = await vscode.window.showQuickPick(items, { placeHolder: "The stage to run" });
  return chosen?.stages;
}

interface Stage {
  readonly name: string;
  readonly where: string;
  readonly earlier: string;
}

/** The stages of a plan in JSON; undefined where it is none. */
function stagesIn(text: string): readonly Stage[] | undefined {
  let plan: unknown;
  try {
    plan = JSON.parse(text);
  } catch {
    return undefined;
  }
  const stages = (plan as { stages?: { name: string; where?: string; earlier?: { text?: string } }[] }).stages;
  return stages?.map((each) => ({ name: each.name, where: each.where ?? "", earlier: each.earlier?.text ?? "" }));
}
