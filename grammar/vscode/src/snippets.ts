// Snippets for the time in which no server answers: it has its own, of what fits the place.

import * as vscode from "vscode";

interface Snippet {
  readonly prefix: string;
  readonly body: readonly string[];
  readonly description: string;
}

/** Where an entry, a stage or a value begins: only words stand behind the line's begin, or behind a sign outside of texts. */
const BEGINNING = /^(?:[^"#]*[={[(,])?\s*(?:\w+ )*\w*$/;

export class Snippets implements vscode.CompletionItemProvider {
  private known: Promise<vscode.CompletionItem[]> | undefined;

  constructor(
    private readonly file: vscode.Uri,
    private readonly needed: () => boolean,
  ) {}

  async provideCompletionItems(
    document: vscode.TextDocument,
    position: vscode.Position,
  ): Promise<vscode.CompletionItem[] | undefined> {
    const before = document.lineAt(position).text.slice(0, position.character);
    if (!this.needed() || !BEGINNING.test(before)) {
      return undefined;
    }
    return (this.known ??= this.read());
  }

  private async read(): Promise<vscode.CompletionItem[]> {
    const text = new TextDecoder().decode(await vscode.workspace.fs.readFile(this.file));
    const found = JSON.parse(text) as Record<string, Snippet>;
    return Object.entries(found).map(([title, { prefix, body, description }]) => {
      const item = new vscode.CompletionItem({ label: prefix, description: title }, vscode.CompletionItemKind.Snippet);
      item.insertText = new vscode.SnippetString(body.join("\n"));
      item.documentation = description;
      return item;
    });
  }
}
