--- The language server of recipes in Neovim, from 0.7 on: `require('esp3c').setup {}`.
---
--- Options: `cmd` (the server's words), `root_dir` (a folder, or a function from a recipe's path to one), `codelens` (false
--- to show none), and all that Neovim's own clients take: `on_attach`, `capabilities`, `handlers`, `flags` …

local M = {}

local NAME = 'esp3c'

--- The clients that are at work, whatever the version calls the function for them.
local function clients()
  local all = (vim.lsp.get_clients or vim.lsp.get_active_clients)()
  return vim.tbl_filter(function(client) return client.name == NAME end, all)
end

--- The nearest folder above a recipe that is a repository, or the recipe's own.
local function repository(path)
  local stat = (vim.uv or vim.loop).fs_stat
  local own = vim.fn.fnamemodify(path, ':p:h')
  local folder = own
  while true do
    if stat(folder .. '/.git') then return folder end
    local above = vim.fn.fnamemodify(folder, ':h')
    if above == folder then return own end
    folder = above
  end
end

--- What Neovim is to start for a recipe.
local function config_for(options, buffer)
  local config = vim.tbl_extend('force', { name = NAME }, options)
  config.codelens = nil
  local root = options.root_dir or repository
  if type(root) == 'function' then root = root(vim.api.nvim_buf_get_name(buffer)) end
  config.root_dir = root
  return config
end

--- Gives a buffer to the server of its folder, which is started where there is none yet.
local function start(options, buffer)
  local config = config_for(options, buffer)
  if vim.lsp.start then
    vim.api.nvim_buf_call(buffer, function() vim.lsp.start(config) end)
    return
  end
  for _, client in ipairs(clients()) do
    if client.config.root_dir == config.root_dir and not client.is_stopped() then
      vim.lsp.buf_attach_client(buffer, client.id)
      return
    end
  end
  local id = vim.lsp.start_client(config)
  if id then vim.lsp.buf_attach_client(buffer, id) end
end

local function attach(options, buffer)
  -- A text that is in no file (a diff, a preview of a plugin) has no folder either.
  if vim.bo[buffer].buftype == '' and vim.api.nvim_buf_get_name(buffer) ~= '' then start(options, buffer) end
end

--- Shows the lenses of a buffer, and keeps them as they should be.
local function show_lenses(buffer)
  if vim.lsp.codelens.enable then
    vim.lsp.codelens.enable(true, { bufnr = buffer })
    return
  end
  local group = vim.api.nvim_create_augroup('esp3c_lenses', { clear = false })
  vim.api.nvim_clear_autocmds({ group = group, buffer = buffer })
  vim.api.nvim_create_autocmd({ 'BufEnter', 'CursorHold', 'InsertLeave', 'BufWritePost' }, {
    group = group,
    buffer = buffer,
    callback = function() vim.lsp.codelens.refresh() end,
  })
  vim.api.nvim_buf_call(buffer, function() vim.lsp.codelens.refresh() end)
end

--- Tells the servers that a file beside their recipes was written: what they know of it is out of date.
local function written(path)
  local change = { changes = { { uri = vim.uri_from_fname(path), type = 2 } } }
  for _, client in ipairs(clients()) do
    if vim.fn.has('nvim-0.11') == 1 then
      client:notify('workspace/didChangeWatchedFiles', change)
    else
      client.notify('workspace/didChangeWatchedFiles', change)
    end
  end
end

--- What the server's lenses and actions ask the editor for: a run in a terminal.
local function open(verb)
  return function(command)
    local uri, stage = unpack(command.arguments or {})
    if not uri then
      vim.notify('esp3c: the server names no recipe for ' .. command.command, vim.log.levels.ERROR)
      return
    end
    local stages = (stage ~= nil and stage ~= vim.NIL) and { stage } or {}
    vim.fn['esp3c#open'](verb, vim.uri_to_fname(uri), stages)
  end
end

function M.setup(options)
  options = options or {}
  if not options.cmd then
    options = vim.tbl_extend('force', options, { cmd = vim.list_extend(vim.fn['esp3c#program'](), { 'lsp' }) })
  end
  if type(options.cmd) == 'table' and vim.fn.executable(options.cmd[1]) == 0 then
    vim.notify(
      ('esp3c: %s is not a program here: install esp3c, or give setup a `cmd`'):format(options.cmd[1]),
      vim.log.levels.ERROR
    )
    return
  end

  vim.lsp.commands['esp3c.runStage'] = open('run')
  vim.lsp.commands['esp3c.plan'] = open('plan')

  local group = vim.api.nvim_create_augroup('esp3c', { clear = true })
  if options.codelens ~= false then
    local on_attach = options.on_attach
    options = vim.tbl_extend('force', options, {
      on_attach = function(client, buffer)
        if client.server_capabilities.codeLensProvider then show_lenses(buffer) end
        if on_attach then on_attach(client, buffer) end
      end,
    })
  end
  vim.api.nvim_create_autocmd('FileType', {
    group = group,
    pattern = 'esp',
    callback = function(event) attach(options, event.buf) end,
  })
  vim.api.nvim_create_autocmd('BufWritePost', {
    group = group,
    pattern = { '*.py', '*.yaml', '*.yml' },
    callback = function(event) written(vim.fn.fnamemodify(event.match, ':p')) end,
  })
  for _, buffer in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_is_loaded(buffer) and vim.bo[buffer].filetype == 'esp' then attach(options, buffer) end
  end
end

return M
