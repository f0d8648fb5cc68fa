-- For `vim.lsp.enable('esp3c')`, which Neovim has from 0.11 on.
return {
  -- A function: which esp3c it is depends on the folder of the recipe.
  cmd = function(dispatchers, config)
    local root = config and config.root_dir or vim.fn['esp3c#root'](vim.api.nvim_buf_get_name(0))
    local words = vim.list_extend(vim.fn['esp3c#program'](root), { 'lsp' })
    return vim.lsp.rpc.start(words, dispatchers)
  end,
  filetypes = { 'esp' },
  root_markers = { '.git' },
}
