--- The language server of recipes in Neovim, from 0.7 on: `require('esp3c').setup {}`.
---
--- Options: `cmd` (the server's words), `root_dir` (a folder, or a function from a recipe's path to one), `codelens` (false
--- to show none), `update_in_insert` (false to show marks only when insert mode is left), and all that Neovim's own clients
--- take: `on_attach`, `capabilities`, `handlers`, `flags` …

local M = {}

local NAME = 'esp3c'
local OWN = { cmd = true, root_dir = true, codelens = true, update_in_insert = true, on_init = true, on_attach = true }

-- In how many folders above a file its manifest is looked for, as the server does.
local MOST_ABOVE = 4

-- The server of each folder, from its start on: Neovim 0.7 tells of one only when it has answered.
local running = {}

-- The buffers that `esp3c build` wrote: the server answers nothing there but where they come from.
local generated = {}

-- Programs that were said to be missing: once is enough.
local missed = {}

--- The clients that are at work, whatever the version calls the function for them.
local function clients()
  local all = (vim.lsp.get_clients or vim.lsp.get_active_clients)()
  return vim.tbl_filter(function(client) return client.name == NAME end, all)
end

--- A function that calls one and then the user's own, which may be a list.
local function before(first, given)
  return function(...)
    first(...)
    for _, each in ipairs(type(given) == 'table' and given or { given }) do
      each(...)
    end
  end
end

--- The words of the server, or nil where it cannot be started; that is said where a recipe asks for it.
local function words(options, root, asked)
  local cmd = options.cmd or vim.list_extend(vim.fn['esp3c#program'](root), { 'lsp' })
  if type(cmd) ~= 'table' or vim.fn.executable(cmd[1]) == 1 then return cmd end
  if asked and not missed[cmd[1]] then
    missed[cmd[1]] = true
    local text = 'esp3c: %s is not a program here, so no language server was started. Install esp3c in %s/.venv, in an '
      .. 'environment that is active, or on PATH; or set g:esp3c_program, or `cmd` of setup, to where it is'
    -- An error would be shown as one of this autocommand.
    vim.notify(text:format(cmd[1], root), vim.log.levels.WARN)
  end
end

--- Keeps a client to definitions in generated files: formatting or renaming there is for others.
local function restrict(client)
  local supports = client.supports_method
  local told = vim.fn.has('nvim-0.10') == 1
  client.supports_method = function(...)
    local asked = { ... }
    if type(asked[1]) == 'table' then table.remove(asked, 1) end
    local method, buffer = asked[1], asked[2]
    if type(buffer) == 'table' then buffer = buffer.bufnr end
    -- Older ones do not say which buffer they ask for; it is where the user is.
    if buffer == 0 or (buffer == nil and not told) then buffer = vim.api.nvim_get_current_buf() end
    local name = method:match('^textDocument/(.*)')
    if buffer and generated[buffer] and name and name ~= 'definition' and not name:match('^did') then return false end
    return supports(...)
  end
end

--- Whether another client of a buffer can do something.
local function others(client, buffer, capability)
  for _, each in pairs((vim.lsp.get_clients or vim.lsp.get_active_clients)()) do
    local there = each.id ~= client.id and vim.lsp.buf_is_attached(buffer, each.id)
    if there and each.server_capabilities and each.server_capabilities[capability] then return true end
  end
  return false
end

--- Takes back what Neovim set in a generated file for what the server does not answer there.
local function withdraw(client, buffer)
  for option, capability in pairs { omnifunc = 'completionProvider', formatexpr = 'documentRangeFormattingProvider' } do
    local ours = vim.startswith(vim.bo[buffer][option], 'v:lua.vim.lsp.')
    if ours and not others(client, buffer, capability) then vim.bo[buffer][option] = '' end
  end
  if others(client, buffer, 'hoverProvider') then return end
  for _, map in ipairs(vim.api.nvim_buf_get_keymap(buffer, 'n')) do
    if map.lhs == 'K' and map.desc == 'vim.lsp.buf.hover()' then vim.api.nvim_buf_del_keymap(buffer, 'n', 'K') end
  end
end

--- Sets what newer ones set by themselves, where nobody has.
local function defaults(buffer)
  if vim.fn.has('nvim-0.10') == 1 then return end
  local functions = { tagfunc = 'v:lua.vim.lsp.tagfunc' }
  if not generated[buffer] then
    functions.omnifunc = 'v:lua.vim.lsp.omnifunc'
    functions.formatexpr = 'v:lua.vim.lsp.formatexpr()'
  end
  for option, value in pairs(functions) do
    if vim.bo[buffer][option] == '' then vim.bo[buffer][option] = value end
  end
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

--- Sets up a buffer that has got its server.
local function attached(options, client, buffer)
  defaults(buffer)
  if generated[buffer] then
    withdraw(client, buffer)
    return
  end
  -- Only the marks of this server: those of others are as the user has them.
  if options.update_in_insert ~= false then
    vim.diagnostic.config({ update_in_insert = true }, vim.lsp.diagnostic.get_namespace(client.id))
  end
  if options.codelens ~= false and client.server_capabilities.codeLensProvider then show_lenses(buffer) end
end

--- What Neovim is to start for the recipe of a path; nil where that is not possible.
local function config_for(options, path, asked)
  local root = options.root_dir or vim.fn['esp3c#root'](path)
  if type(root) == 'function' then root = root(path) end
  local cmd = words(options, root or vim.fn.fnamemodify(path, ':h'), asked)
  if not cmd then return end
  local config = { name = NAME, cmd = cmd, root_dir = root }
  for name, value in pairs(options) do
    if not OWN[name] then config[name] = value end
  end
  config.on_init = before(restrict, options.on_init)
  config.on_attach = before(function(client, buffer) attached(options, client, buffer) end, options.on_attach)
  return config
end

--- Gives a buffer to the server of a folder, which is started where there is none yet.
local function start(config, buffer)
  if vim.lsp.start then
    vim.api.nvim_buf_call(buffer, function() vim.lsp.start(config) end)
    return
  end
  local root = config.root_dir or ''
  local client = running[root] and vim.lsp.get_client_by_id(running[root])
  if not client or client.is_stopped() then
    local id
    config.on_exit = before(function()
      if running[root] == id then running[root] = nil end
    end, config.on_exit)
    id = vim.lsp.start_client(config)
    running[root] = id
  end
  if running[root] then vim.lsp.buf_attach_client(buffer, running[root]) end
end

--- The recipe from which `esp3c build` wrote a file, as the manifest above it says; nil for any other file.
local function recipe_of(path)
  local folder = vim.fn.fnamemodify(path, ':h')
  for _ = 1, MOST_ABOVE do
    local manifest = folder .. '/.esp3c/manifest.json'
    if vim.fn.filereadable(manifest) == 1 then
      local read, built = pcall(function() return vim.fn.json_decode(vim.fn.readfile(manifest)) end)
      local own = folder == '/' and path:sub(2) or path:sub(#folder + 2)
      -- A manifest that cannot be read is the build's matter, which says so.
      if not read or type(built) ~= 'table' or type(built.files) ~= 'table' or not built.files[own] then return end
      if type(built.recipe) ~= 'string' or type(built.recipe_dir) ~= 'string' then return end
      return vim.fn.resolve(vim.fn.simplify(folder .. '/' .. built.recipe_dir .. '/' .. built.recipe))
    end
    local above = vim.fn.fnamemodify(folder, ':h')
    if above == folder then return end
    folder = above
  end
end

local function attach(options, buffer)
  local path = vim.api.nvim_buf_get_name(buffer)
  -- A text that is in no file (a diff, a preview of a plugin) has no folder either.
  if vim.bo[buffer].buftype ~= '' or path == '' then return end
  generated[buffer] = nil
  local recipe = path
  if vim.bo[buffer].filetype ~= 'esp' then
    recipe = recipe_of(path)
    if not recipe then return end
    generated[buffer] = true
  end
  local config = config_for(options, recipe, recipe == path)
  if config then start(config, buffer) end
end

function M.setup(options)
  options = options or {}
  vim.lsp.commands['esp3c.runStage'] = open('run')
  vim.lsp.commands['esp3c.plan'] = open('plan')

  local group = vim.api.nvim_create_augroup('esp3c', { clear = true })
  vim.api.nvim_create_autocmd('FileType', {
    group = group,
    pattern = { 'esp', 'yaml', 'yaml.*', 'python' },
    callback = function(event) attach(options, event.buf) end,
  })
  vim.api.nvim_create_autocmd('BufWipeout', {
    group = group,
    callback = function(event) generated[event.buf] = nil end,
  })
  vim.api.nvim_create_autocmd('BufWritePost', {
    group = group,
    pattern = { '*.py', '*.yaml', '*.yml' },
    callback = function(event) written(vim.fn.fnamemodify(event.match, ':p')) end,
  })
  for _, buffer in ipairs(vim.api.nvim_list_bufs()) do
    local kind = vim.bo[buffer].filetype
    if vim.api.nvim_buf_is_loaded(buffer) and (kind == 'esp' or kind == 'python' or vim.startswith(kind, 'yaml')) then
      attach(options, buffer)
    end
  end
end

return M
