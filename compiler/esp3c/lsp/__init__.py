"""The language server: `esp3c lsp`. One handler a file: it converts in, asks the compiler, converts out."""
