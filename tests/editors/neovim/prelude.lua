-- What the scripts of tests use. `tell` runs one, and writes what it returns, or what went wrong, as JSON.

local test = {}

-- Neovim asks with a prompt where a message is long, and nobody is there to answer.
vim.o.more = false
vim.o.shortmess = vim.o.shortmess .. 'aAIcF'

function test.tell(path, script)
  local ok, result = xpcall(script, debug.traceback)
  -- The server ends before it is told how the test went: one that outlives its editor would be seen by nobody.
  local left = test.servers()
  for _, client in ipairs(left) do
    if vim.fn.has('nvim-0.11') == 1 then client:stop() else client.stop() end
  end
  local gone = vim.wait(10000, function() return #test.servers() == 0 end, 20)
  if ok and not gone then
    ok, result = false, 'the server did not end'
  end
  if result == nil then result = vim.NIL end
  local told = ok and { result = result } or { error = result }
  vim.fn.writefile({ vim.fn.json_encode(told) }, path)
  vim.cmd('qall!')
end

function test.servers()
  local all = (vim.lsp.get_clients or vim.lsp.get_active_clients)()
  return vim.tbl_filter(function(client) return client.name == 'esp3c' end, all)
end

--- Waits until a condition holds, and gives what it gives.
function test.wait(what, condition, seconds)
  local found
  local came = vim.wait((seconds or 30) * 1000, function()
    found = condition()
    return found
  end, 20)
  if not came then
    local shown = vim.inspect({ file = vim.api.nvim_buf_get_name(0), diagnostics = test.diagnostics() })
    error('in vain for ' .. what .. '\n' .. shown, 2)
  end
  return found
end

--- The server of this buffer, once it has answered.
function test.server()
  return test.wait('the server', function()
    for _, client in ipairs(test.servers()) do
      if client.initialized ~= false and vim.lsp.buf_is_attached(0, client.id) and client.server_capabilities then
        return client
      end
    end
  end)
end

--- What is wrong with this buffer: code, line and columns (from 1, in bytes), severity, message.
function test.diagnostics()
  local found = {}
  for _, each in ipairs(vim.diagnostic.get(0)) do
    table.insert(found, {
      code = each.code,
      line = each.lnum + 1,
      column = each.col + 1,
      end_column = each.end_col + 1,
      severity = vim.diagnostic.severity[each.severity],
      message = each.message,
    })
  end
  return found
end

--- Waits until the first diagnostic is there, and gives all.
function test.wrong()
  return test.wait('a diagnostic', function()
    local found = test.diagnostics()
    return #found > 0 and found or nil
  end)
end

--- Waits until the server has checked this buffer as it is, and found nothing.
function test.right()
  test.wait('no diagnostic', function() return #test.diagnostics() == 0 end)
end

--- The words of the protocol's answer; an error of the server fails the test.
function test.ask(method, more)
  test.server()
  local params = vim.tbl_extend('force', vim.lsp.util.make_position_params(0, 'utf-16'), more or {})
  local answers, wrong = vim.lsp.buf_request_sync(0, method, params, 20000)
  if not answers then error(method .. ': ' .. tostring(wrong), 2) end
  for _, answer in pairs(answers) do
    if answer.error or answer.err then error(method .. ': ' .. vim.inspect(answer.error or answer.err), 2) end
    return answer.result
  end
  error(method .. ': nobody answered', 2)
end

--- Puts the cursor on the place of a text, `after` characters behind its beginning.
function test.go(text, after)
  vim.api.nvim_win_set_cursor(0, { 1, 0 })
  if vim.fn.search('\\V' .. vim.fn.escape(text, '\\'), 'cW') == 0 then error('there is no ' .. text, 2) end
  local place = vim.api.nvim_win_get_cursor(0)
  vim.api.nvim_win_set_cursor(0, { place[1], place[2] + (after or 0) })
end

--- Puts a text in the place of the first one of its kind, as a change of the buffer.
function test.replace(old, new)
  test.go(old)
  local place = vim.api.nvim_win_get_cursor(0)
  vim.api.nvim_buf_set_text(0, place[1] - 1, place[2], place[1] - 1, place[2] + #old, { new })
end

function test.lines() return vim.api.nvim_buf_get_lines(0, 0, -1, true) end

--- Whether the buffer's server says that it can do something; `what` is its name among the capabilities.
function test.can(what) return test.server().server_capabilities[what] end

return test
