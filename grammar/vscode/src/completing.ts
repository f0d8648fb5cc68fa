// What follows when a proposal was taken over: the next question, at the place that it left to be filled in.

import * as vscode from "vscode";

/** A call waits for its arguments, a key for its value. Where a value stands already, Tab has to lead on. */
const CALL = /\w\([^"]*\$1\b/;
const VALUE = /(?:= |["[])\$1\b/;

const COMMANDS = {
  arguments: { command: "editor.action.triggerParameterHints", title: "Show the arguments" },
  values: { command: "editor.action.triggerSuggest", title: "Show the values" },
};

/** The same proposals, each with what follows it. */
export function continued<T extends vscode.CompletionItem[] | vscode.CompletionList | null | undefined>(found: T): T {
  for (const item of Array.isArray(found) ? found : (found?.items ?? [])) {
    const text = item.insertText instanceof vscode.SnippetString ? item.insertText.value : "";
    const command = CALL.test(text) ? COMMANDS.arguments : VALUE.test(text) ? COMMANDS.values : undefined;
    if (command !== undefined && !text.includes("\n")) {
      item.command ??= command;
    }
  }
  return found;
}
