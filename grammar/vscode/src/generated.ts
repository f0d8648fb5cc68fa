// From files that `esp3c build` has written back to the recipe: the one thing that the server is asked about them.

import { dirname, join } from "node:path";
import * as vscode from "vscode";

/** What a build writes, below the folder of its manifest. */
export const GENERATED = ["**/conf/*.yaml", "**/run.py", "**/system.py", "**/recipe_data/*.py"];

const MANIFEST = join(".esp3c", "manifest.json");

/** In how many folders above a file its manifest is looked for; as many as the server looks in. */
const MOST_ABOVE = 4;

/** Answers where a text was written; undefined where there is nobody to ask. */
export interface Asked {
  definition(
    document: vscode.TextDocument,
    position: vscode.Position,
    token: vscode.CancellationToken,
  ): Promise<vscode.Definition | vscode.DefinitionLink[] | null | undefined>;
}

/**
 * A provider beside those of Python and YAML.
 *
 * The client's own selector would bring the server's other features along: a second formatter, second completions.
 */
export class BackToRecipe implements vscode.DefinitionProvider {
  constructor(private readonly server: Asked) {}

  async provideDefinition(
    document: vscode.TextDocument,
    position: vscode.Position,
    token: vscode.CancellationToken,
  ): Promise<vscode.Definition | vscode.DefinitionLink[] | null | undefined> {
    return (await wasBuilt(document.uri)) ? this.server.definition(document, position, token) : undefined;
  }
}

/** Whether there is the manifest of a build near a file. */
async function wasBuilt(file: vscode.Uri): Promise<boolean> {
  let folder = dirname(file.fsPath);
  for (let above = 0; above < MOST_ABOVE; above++, folder = dirname(folder)) {
    try {
      await vscode.workspace.fs.stat(vscode.Uri.file(join(folder, MANIFEST)));
      return true;
    } catch {
      continue;
    }
  }
  return false;
}
