"""The language server in a real Neovim: what a person who works on a recipe there sees and gets.

Scripts are Lua, with the helpers of `neovim/prelude.lua` as `test`. They do what keys are bound to, so that Neovim's own
client stands between them and the server.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from editors.neovim import driver
from editors.neovim.driver import Neovim

pytestmark = pytest.mark.editors

ROOT = Path(__file__).parents[2]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe of ours in a folder of its own, as it is."""
    folder = tmp_path / "spoken digits"
    shutil.copytree(
        ROOT / "recipes" / "spoken_digits", folder, ignore=shutil.ignore_patterns("exp", "data", ".esp3c", "conf")
    )
    return folder / "recipe.esp"


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def line_of(path: Path, pattern: str) -> int:
    """The number of the first line in which a pattern is found."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if re.search(pattern, line))


def recorder(folder: Path) -> Path:
    """A program that writes its folder and its words to the file `ran` beside it."""
    program = folder / "program"
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$PWD" "$@" > "{folder}/part"\nmv "{folder}/part" "{folder}/ran"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    return program


# -- diagnostics --------------------------------------------------------------------------------------------------------


def test_a_mistake_is_shown_where_it_is_and_gone_when_it_is_mended(neovim: Neovim, recipe: Path) -> None:
    replaced(recipe, "hidden_size = 192", "hiden_size = 192")
    line = line_of(recipe, "hiden_size = 192")
    column = recipe.read_text(encoding="utf-8").splitlines()[line - 1].index("hiden_size") + 1

    before, after = neovim.run(
        recipe,
        """
        local before = test.wrong()
        test.replace('hiden_size', 'hidden_size')
        test.right()
        return { before, test.diagnostics() }
        """,
    )

    assert after == []
    assert ("ESP0402", line, column, column + len("hiden_size"), "ERROR") in {
        (each["code"], each["line"], each["column"], each["end_column"], each["severity"]) for each in before
    }
    message = next(each["message"] for each in before if each["code"] == "ESP0402")
    assert "`CTCRecognizer` has no argument `hiden_size`" in message


def test_a_place_behind_wide_letters_is_right(neovim: Neovim, recipe: Path) -> None:
    """The client counts in UTF-16 or bytes, the compiler in characters."""
    replaced(recipe, 'vocabulary = "0123456789 "', 'vocabulary = "音声𠮷é", vocabulry = 1')
    text = recipe.read_text(encoding="utf-8").splitlines()[line_of(recipe, "vocabulry") - 1]

    found = neovim.run(recipe, "return test.wrong()")

    place = ("ESP0402", len(text.partition("vocabulry")[0].encode()) + 1)
    assert place in [(each["code"], each["column"]) for each in found]


def test_a_mistake_that_is_made_while_typing_is_shown(neovim: Neovim, recipe: Path) -> None:
    found = neovim.run(
        recipe,
        """
        test.server()
        test.replace('max_epochs = 9', 'max_epoch = 9')
        return test.wrong()
        """,
    )

    assert [(each["code"], each["line"]) for each in found] == [("ESP0301", line_of(recipe, "max_epochs = 9"))]


def test_python_that_is_written_beside_the_recipe_is_read_anew(neovim: Neovim, recipe: Path) -> None:
    replaced(recipe, "hidden_size = 192", "hidden_size = 192, dropout_of_mine = 0.1")

    codes = neovim.run(
        recipe,
        """
        local codes = vim.tbl_map(function(each) return each.code end, test.wrong())
        local here = vim.api.nvim_get_current_buf()
        vim.cmd('edit ' .. vim.fn.fnameescape(vim.fn.expand('%:p:h') .. '/src/model.py'))
        test.go('hidden_size: int')
        vim.cmd('normal! idropout_of_mine: float, ')
        vim.cmd('write')
        vim.cmd('buffer ' .. here)
        test.right()
        return codes
        """,
    )

    assert codes == ["ESP0402"]


# -- going, renaming, formatting ----------------------------------------------------------------------------------------


def test_definitions_are_gone_to(neovim: Neovim, recipe: Path) -> None:
    places = neovim.run(
        recipe,
        """
        test.server()
        local here, places = vim.api.nvim_get_current_buf(), {}
        for _, from in ipairs {
            { 'src.model.CTCRecognizer', #'src.model.C' },
            { 'hidden_size = 192', 2 },
            { 'digits(split = "valid")', 0 },
        } do
            vim.cmd('buffer ' .. here)
            test.go(from[1], from[2])
            local line = vim.fn.line('.')
            vim.lsp.buf.definition()
            test.wait('a jump', function() return vim.api.nvim_get_current_buf() ~= here or vim.fn.line('.') ~= line end)
            table.insert(places, { vim.api.nvim_buf_get_name(0), vim.fn.line('.') })
        end
        return places
        """,
    )

    model = recipe.parent / "src" / "model.py"
    assert [(path, line) for path, line in places] == [
        (str(model), line_of(model, r"^class CTCRecognizer\b")),
        (str(model), line_of(model, r"^ +hidden_size: int\b")),
        (str(recipe), line_of(recipe, r"^dataset digits\b")),
    ]


def test_a_dataset_is_renamed_everywhere(neovim: Neovim, recipe: Path) -> None:
    text = recipe.read_text(encoding="utf-8")
    wanted = re.sub(r"\bdigits\b", "numerals", text)
    assert wanted.count("numerals") > 3

    lines = neovim.run(
        recipe,
        """
        test.server()
        test.go('dataset digits {', #'dataset d')
        vim.lsp.buf.rename('numerals')
        test.wait('the new name', function() return vim.fn.search('numerals', 'nw') > 0 end)
        return test.lines()
        """,
    )

    assert lines == wanted.splitlines()


def test_a_recipe_is_formatted(neovim: Neovim, recipe: Path) -> None:
    formatted = recipe.read_text(encoding="utf-8")
    recipe.write_text(formatted.replace("\n  ", "\n      ").replace("seed    =", "seed ="), encoding="utf-8")

    lines = neovim.run(
        recipe,
        """
        test.server()
        if vim.lsp.buf.format then
          vim.lsp.buf.format({ timeout_ms = 20000 })
        else
          vim.lsp.buf.formatting_sync(nil, 20000)
        end
        return test.lines()
        """,
    )

    assert lines == formatted.splitlines()


# -- what is told -------------------------------------------------------------------------------------------------------


def test_a_key_is_completed(neovim: Neovim, recipe: Path) -> None:
    labels = neovim.run(
        recipe,
        """
        test.server()
        test.replace('trainer { max_epochs = 9', 'trainer { max_ep')
        test.go('max_ep', 6)
        vim.cmd('normal! h')
        local place = vim.api.nvim_win_get_cursor(0)
        local answer = test.ask('textDocument/completion', { position = { line = place[1] - 1, character = place[2] + 1 } })
        return vim.tbl_map(function(item) return item.label end, answer.items or answer)
        """,
    )

    assert any(label.startswith("max_epochs") for label in labels)


def test_hover_tells_what_is_called(neovim: Neovim, recipe: Path) -> None:
    text = neovim.run(
        recipe,
        """
        test.server()
        test.go('src.model.CTCRecognizer', #'src.model.C')
        vim.lsp.buf.hover()
        local window = test.wait('the window', function()
            for _, window in ipairs(vim.api.nvim_list_wins()) do
                if vim.api.nvim_win_get_config(window).relative ~= '' then return window end
            end
        end)
        return table.concat(vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(window), 0, -1, true), '\\n')
        """,
    )

    assert "CTCRecognizer" in text
    assert "hidden_size" in text


# -- commands -----------------------------------------------------------------------------------------------------------


def test_the_lens_of_a_stage_runs_it(neovim: Neovim, recipe: Path, tmp_path: Path) -> None:
    titles, ran, kind = neovim.run(
        recipe,
        f"""
        test.server()
        local here = vim.api.nvim_get_current_buf()
        vim.g.esp3c_program = '{recorder(tmp_path)}'
        local lenses = test.wait('lenses', function()
            vim.lsp.codelens.refresh()
            vim.wait(100)
            local found = vim.lsp.codelens.get(here)
            found = vim.tbl_map(function(each) return each.lens or each end, found)
            return #found > 0 and found[1].command and found or nil
        end)
        local line = vim.fn.search('^  infer')
        local titles = {{}}
        for _, lens in ipairs(lenses) do
            if lens.range.start.line == line - 1 then table.insert(titles, lens.command.command) end
        end
        vim.ui.select = function(items, options, chosen)
            for index, item in ipairs(items) do
                local lens = item.lens or item
                if lens.command.command == 'esp3c.runStage' then return chosen(item, index) end
            end
            error('no lens runs the stage')
        end
        vim.lsp.codelens.run()
        test.wait('the run', function() return vim.fn.filereadable('{tmp_path}/ran') == 1 end)
        return {{ titles, vim.fn.readfile('{tmp_path}/ran'), vim.bo.buftype }}
        """,
    )

    assert "esp3c.runStage" in titles
    assert ran == [str(recipe.parent), "run", "recipe.esp", "--stages", "infer"]
    assert kind == "terminal"


def test_commands_of_the_server_open_a_terminal(neovim: Neovim, recipe: Path, tmp_path: Path) -> None:
    runs = neovim.run(
        recipe,
        f"""
        vim.g.esp3c_program = '{recorder(tmp_path)}'
        local uri, runs = vim.uri_from_bufnr(0), {{}}
        for _, asked in ipairs {{
            {{ 'esp3c.runStage', {{ uri, 'train' }} }},
            {{ 'esp3c.plan', {{ uri, 'train' }} }},
            {{ 'esp3c.plan', {{ uri, vim.NIL }} }},
            {{ 'esp3c.plan', {{ uri }} }},
        }} do
            vim.lsp.commands[asked[1]]({{ title = 'title', command = asked[1], arguments = asked[2] }}, {{}})
            test.wait('the run', function() return vim.fn.filereadable('{tmp_path}/ran') == 1 end)
            table.insert(runs, vim.fn.readfile('{tmp_path}/ran'))
            vim.fn.delete('{tmp_path}/ran')
        end
        return runs
        """,
    )

    assert runs == [
        [str(recipe.parent), *words]
        for words in (
            ["run", "recipe.esp", "--stages", "train"],
            ["plan", "recipe.esp", "--stages", "train"],
            ["plan", "recipe.esp"],
            ["plan", "recipe.esp"],
        )
    ]


def test_a_server_that_is_stopped_ends_well(neovim: Neovim, recipe: Path) -> None:
    """Neovim says so where one ends with another code than 0."""
    neovim.run(recipe, "test.server()")

    assert "quit with exit code" not in neovim.said


# -- servers ------------------------------------------------------------------------------------------------------------


def test_recipes_of_a_repository_share_a_server(neovim: Neovim, recipe: Path, tmp_path: Path) -> None:
    for name in ("repository/one", "repository/two", "elsewhere"):
        shutil.copytree(recipe.parent, tmp_path / name)
    (tmp_path / "repository" / ".git").mkdir()

    roots, attached = neovim.run(
        tmp_path / "repository" / "one" / "recipe.esp",
        f"""
        test.server()
        for _, name in ipairs {{ 'repository/two', 'elsewhere' }} do
            vim.cmd('edit {tmp_path}/' .. name .. '/recipe.esp')
            test.server()
        end
        local roots = vim.tbl_map(function(client) return client.config.root_dir end, test.servers())
        table.sort(roots)
        return {{ roots, ATTACHED }}
        """,
        setup="ATTACHED = 0; require('esp3c').setup { on_attach = function() ATTACHED = ATTACHED + 1 end }",
    )

    assert roots == [str(tmp_path / "elsewhere"), str(tmp_path / "repository")]
    assert attached == 3


@pytest.mark.parametrize("opening", ["vim.cmd('vsplit one.esp | vsplit two.esp')", "vim.cmd('edit | edit | edit')"])
def test_what_is_opened_while_the_server_starts_shares_it(neovim: Neovim, recipe: Path, opening: str) -> None:
    for name in ("one", "two"):
        shutil.copyfile(recipe, recipe.with_name(f"{name}.esp"))

    started, servers, attached = neovim.run(
        recipe,
        f"""
        vim.cmd('cd ' .. vim.fn.fnameescape(vim.fn.expand('%:p:h')))
        {opening}
        local attached = 0
        for _, window in ipairs(vim.api.nvim_list_wins()) do
            vim.api.nvim_set_current_win(window)
            if #vim.lsp.buf_get_clients() > 0 or test.server() then attached = attached + 1 end
        end
        -- A second server would have answered by then.
        vim.wait(2000)
        return {{ STARTED, #test.servers(), attached }}
        """,
        setup="STARTED = 0; local spawn = vim.lsp.rpc.start; "
        "vim.lsp.rpc.start = function(...) STARTED = STARTED + 1; return spawn(...) end; require('esp3c').setup {}",
    )

    assert (started, servers) == (1, 1)
    assert attached == (3 if "vsplit" in opening else 1)


def test_a_server_that_ended_is_started_anew(neovim: Neovim, recipe: Path) -> None:
    first, second = neovim.run(
        recipe,
        """
        local first = test.server().id
        vim.lsp.stop_client(first, true)
        test.wait('the end', function() return #test.servers() == 0 end)
        vim.cmd('edit')
        return { first, test.server().id }
        """,
    )

    assert first != second


MISSING = "SAID = {}; vim.notify = function(text) table.insert(SAID, text) end; require('esp3c').setup "


def test_a_server_that_is_not_there_is_said_once_and_disturbs_nothing(neovim: Neovim, recipe: Path) -> None:
    said, kind = neovim.run(
        recipe,
        """
        vim.cmd('edit | split | enew | edit other.esp')
        return { SAID, vim.bo.filetype }
        """,
        setup=MISSING + "{ cmd = { 'no-such-esp3c', 'lsp' } }",
    )

    assert len(said) == 1
    assert "no-such-esp3c is not a program here" in said[0]
    assert "g:esp3c_program" in said[0]
    assert kind == "esp"


def test_without_a_recipe_nothing_is_said_of_the_server(neovim: Neovim, tmp_path: Path) -> None:
    other = tmp_path / "foo.txt"
    other.write_text("text\n", encoding="utf-8")

    said = neovim.run(
        other,
        "vim.cmd('edit bar.py'); return { SAID, #test.servers() }",
        setup=MISSING + "{ cmd = { 'no-such-esp3c', 'lsp' } }",
    )

    assert said == [[], 0]


# -- what setup sets ----------------------------------------------------------------------------------------------------


def test_functions_of_the_client_are_set_where_nobody_has(neovim: Neovim, recipe: Path) -> None:
    script = """
        test.server()
        return vim.tbl_map(function(name) return vim.bo[name] end, { 'omnifunc', 'tagfunc', 'formatexpr' })
        """

    assert neovim.run(recipe, script) == [
        "v:lua.vim.lsp.omnifunc",
        "v:lua.vim.lsp.tagfunc",
        "v:lua.vim.lsp.formatexpr()",
    ]
    chosen = neovim.run(
        recipe,
        script,
        setup="vim.cmd('autocmd FileType esp setlocal omnifunc=Own'); require('esp3c').setup {}",
    )
    assert chosen[0] == "Own"


@pytest.mark.parametrize(("options", "shown"), [("{}", True), ("{ update_in_insert = false }", False)])
def test_marks_come_while_one_types(neovim: Neovim, recipe: Path, options: str, shown: bool) -> None:
    marks, mode, others = neovim.run(
        recipe,
        """
        test.server()
        test.go('max_epochs = 9', #'max_epoch')
        -- `<Cmd>` does not leave insert mode, nor does what it runs.
        function _G.typed()
            test.wrong()
            local marks = {}
            for _, each in pairs(vim.diagnostic.get_namespaces()) do
                local namespace = each.user_data.underline_ns
                if namespace then vim.list_extend(marks, vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, {})) end
            end
            TYPED = { #marks, vim.api.nvim_get_mode().mode, vim.diagnostic.config().update_in_insert }
        end
        local keys = vim.api.nvim_replace_termcodes('s<Cmd>lua typed()<CR><Esc>', true, false, true)
        vim.api.nvim_feedkeys(keys, 'xt', false)
        return TYPED
        """,
        setup=f"require('esp3c').setup {options}",
    )

    assert mode == "i"
    assert (marks > 0) == shown
    assert others is False


# -- generated files ----------------------------------------------------------------------------------------------------


@pytest.fixture
def built(recipe: Path) -> Path:
    subprocess.run([sys.executable, "-m", "esp3c", "build", str(recipe)], check=True, capture_output=True)
    return recipe


def test_a_generated_file_leads_back_to_its_recipe(neovim: Neovim, built: Path) -> None:
    """Also where no recipe is open yet, and then with the server of the one that is."""
    places, servers = neovim.run(
        built.parent / "conf" / "training.yaml",
        """
        local places, folder = {}, vim.fn.expand('%:p:h:h')
        for _, from in ipairs {
            { 'conf/training.yaml', 'max_epochs: 9' },
            { 'run.py', '"measure",' },
            { 'system.py', 'class ' },
            { 'recipe_data/digits.py', 'import' },
        } do
            vim.cmd('edit ' .. vim.fn.fnameescape(folder .. '/' .. from[1]))
            test.server()
            test.go(from[2])
            vim.lsp.buf.definition()
            test.wait('a jump', function() return vim.fn.expand('%:e') == 'esp' end)
            table.insert(places, { vim.api.nvim_buf_get_name(0), vim.fn.line('.') })
        end
        return { places, #test.servers() }
        """,
    )

    assert servers == 1
    assert [(path, line) for path, line in places] == [
        (str(built), line_of(built, pattern))
        for pattern in (r"max_epochs = 9", r"^  measure\b", r"^recipe spoken_digits", r"class   = dataset")
    ]


def test_a_generated_file_has_nothing_of_the_server_but_definitions(neovim: Neovim, built: Path) -> None:
    options, methods, maps, here = neovim.run(
        built.parent / "conf" / "training.yaml",
        """
        local client = test.server()
        vim.wait(200)
        local new, buffer, methods = vim.fn.has('nvim-0.11') == 1, vim.api.nvim_get_current_buf(), {}
        local function can(what, where)
            local method = 'textDocument/' .. what
            if new then return client:supports_method(method, where) and true or false end
            return client.supports_method(method, { bufnr = where }) and true or false
        end
        for _, what in ipairs { 'definition', 'formatting', 'rename', 'hover', 'completion', 'codeAction' } do
            methods[what] = can(what, buffer)
        end
        local options = vim.tbl_map(function(name) return vim.bo[name] end, { 'omnifunc', 'formatexpr', 'tagfunc' })
        local maps = vim.tbl_map(function(map) return map.lhs end, vim.api.nvim_buf_get_keymap(0, 'n'))
        vim.cmd('edit ../recipe.esp')
        return { options, methods, maps, can('formatting', vim.api.nvim_get_current_buf()) }
        """,
        setup=f"vim.cmd('cd ' .. vim.fn.fnameescape('{built.parent}/conf')); require('esp3c').setup {{}}",
    )

    assert options == ["", "", "v:lua.vim.lsp.tagfunc"]
    assert methods == {
        "definition": True,
        **dict.fromkeys(["formatting", "rename", "hover", "completion", "codeAction"], False),
    }
    assert "K" not in maps
    assert here is True


def test_python_that_is_not_generated_is_left_alone(neovim: Neovim, built: Path) -> None:
    attached = neovim.run(
        built,
        """
        test.server()
        vim.cmd('edit ' .. vim.fn.fnameescape(vim.fn.expand('%:p:h') .. '/src/model.py'))
        vim.wait(300)
        return vim.lsp.buf_is_attached(0, test.servers()[1].id)
        """,
    )

    assert attached is False


def test_neovim_starts_the_server_by_its_name(neovim: Neovim, recipe: Path) -> None:
    """`vim.lsp.enable`, which is there from 0.11 on."""
    replaced(recipe, "max_epochs = 9", "max_epoch = 9")

    found = neovim.run(
        recipe,
        "return vim.lsp.enable and test.wrong() or 'older'",
        setup="if vim.lsp.enable then vim.lsp.enable('esp3c') end",
    )

    if found == "older":
        pytest.skip("this Neovim is older than 0.11")
    assert [each["code"] for each in found] == ["ESP0301"]


def test_nothing_outlives_a_script_that_does_not_end(
    neovim: Neovim, recipe: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither Neovim nor its server, which newer ones start in a session of its own."""
    monkeypatch.setattr(driver, "LIMIT", 4)
    started = tmp_path / "started"

    with pytest.raises(AssertionError, match="did not end in 4 s"):
        neovim.run(recipe, f"test.server(); vim.fn.writefile({{}}, '{started}'); while true do end")

    assert started.exists()
    assert [each for each in psutil.process_iter() if home_of(each) == str(neovim.home)] == []


def home_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("HOME")
    except psutil.Error:
        return None
