-- For `vim.lsp.enable('esp3c')`, which Neovim has from 0.11 on.
return {
  cmd = vim.list_extend(vim.fn['esp3c#program'](), { 'lsp' }),
  filetypes = { 'esp' },
  root_markers = { '.git' },
}
