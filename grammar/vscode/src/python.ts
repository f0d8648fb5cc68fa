// The interpreter that the Python extension has chosen. It need not be installed.

import * as vscode from "vscode";

/** What is used of the interface of `ms-python.python`. */
interface PythonExtension {
  readonly environments?: {
    getActiveEnvironmentPath(resource?: vscode.Uri): { readonly path: string };
    resolveEnvironment(
      environment: { readonly path: string },
    ): Promise<{ readonly executable: { readonly uri?: vscode.Uri } } | undefined>;
    readonly onDidChangeActiveEnvironmentPath: vscode.Event<unknown>;
  };
}

async function environments(): Promise<PythonExtension["environments"]> {
  const extension = vscode.extensions.getExtension<PythonExtension>("ms-python.python");
  if (extension === undefined) {
    return undefined;
  }
  return (extension.isActive ? extension.exports : await extension.activate())?.environments;
}

/** Whether there is a Python extension in which an interpreter can be chosen. */
export function hasPython(): boolean {
  return vscode.extensions.getExtension("ms-python.python") !== undefined;
}

/** The path of the chosen interpreter; undefined where there is none. */
export async function interpreter(resource: vscode.Uri | undefined): Promise<string | undefined> {
  const known = await environments();
  if (known === undefined) {
    return undefined;
  }
  const environment = await known.resolveEnvironment(known.getActiveEnvironmentPath(resource));
  return environment?.executable.uri?.fsPath;
}

/** Calls `changed` whenever another interpreter is chosen. */
export async function onChange(changed: () => void): Promise<vscode.Disposable> {
  const known = await environments();
  return known?.onDidChangeActiveEnvironmentPath(changed) ?? new vscode.Disposable(() => undefined);
}
