"""Vim's files of recipes: the words they know, and in a real Vim and Neovim what they colour, indent and report."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from editors.roles import roles
from esp3c.format import format_text
from esp3c.record import changed
from esp3c.source import Source
from esp3c.words import words
from support.any_recipe import recipe
from support.fixtures import FIXTURES, ok_fixtures

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "grammar" / "vim"
LIMIT = 60

OUR_OWN = sorted((ROOT / "recipes").glob("*/recipe.esp"))
FORMATTED = [*OUR_OWN, *sorted((FIXTURES / "format").glob("*.formatted.esp"))]


# -- the words ----------------------------------------------------------------------------------------------------------


def keywords() -> dict[str, list[str]]:
    """The words of each group that the syntax file colours, in the order of the file."""
    text = (PLUGIN / "syntax" / "esp.vim").read_text(encoding="utf-8").replace("\n  \\", "")
    found: dict[str, list[str]] = {}
    for line in re.findall(r"^syn keyword (.+)$", text, re.M):
        group, *rest = line.split()
        known = [word for word in rest if word not in {"contained", "skipwhite", "skipempty"} and "=" not in word]
        found.setdefault(group, []).extend(known)
    return found


def test_the_syntax_has_each_word_of_the_language_in_its_group_and_no_other() -> None:
    known, language = keywords(), words()
    groups = {
        "espDeclaration": language.declarations,
        "espConfig": language.well_known,
        "espClause": language.clauses,
        "espConstant": language.constants,
        "espBackend": language.backends,
        "espStage": language.stages,
        "espType": language.types,
        "espBlockKey": language.blocks,
        "espKey": language.keys,
        "espHydraKey": language.hydra_keys,
    }

    assert {group: sorted(known[group]) for group in groups} == {group: sorted(each) for group, each in groups.items()}
    assert set(known) - set(groups) == {"espExtends", "espPartial", "espTodo"}


def test_the_syntax_has_every_unit_and_modifier() -> None:
    text = (PLUGIN / "syntax" / "esp.vim").read_text(encoding="utf-8")
    number = re.search(r'^syn match espNumber contained ".*\\%\((.+)\\\)\\\?\\>"$', text, re.M)

    assert number is not None
    assert set(number[1].split(r"\|")) == set(words().units)
    modifiers = set(
        keywords()["espExtends"] + keywords()["espPartial"] + re.findall(r"espNew contained \+\\<(\w+)", text)
    )
    assert modifiers == set(words().modifiers)


def test_a_clause_that_the_syntax_could_not_colour_is_not_left_out_in_silence() -> None:
    spec = importlib.util.spec_from_file_location("making_vim", ROOT / "grammar" / "making" / "vim.py")
    assert spec is not None and spec.loader is not None
    making = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(making)

    with pytest.raises(ValueError, match="after"):
        making.files(changed(words(), clauses=(*words().clauses, "after")))


# -- in the editors -----------------------------------------------------------------------------------------------------

PRELUDE = f"""
set nocompatible noswapfile nobackup
set runtimepath^={PLUGIN}
filetype plugin indent on
syntax on
"""


class Vi:
    """Vim or Neovim without a screen."""

    def __init__(self, program: str, folder: Path) -> None:
        self.words = [program, *(["--headless"] if "nvim" in Path(program).name else ["-N", "-i", "NONE"])]
        self.folder = folder

    def run(self, script: str) -> Any:
        """What `g:result` is when the lines of a script are done. The script's own mistakes fail the test."""
        paths = {name: self.folder / name for name in ("prelude.vim", "script.vim", "result.json")}
        paths["prelude.vim"].write_text(PRELUDE, encoding="utf-8")
        paths["script.vim"].write_text(
            f"""
            set encoding=utf-8
            scriptencoding utf-8
            let g:result = v:null
            try
            {script}
            let g:told = {{'result': g:result}}
            catch
            let g:told = {{'error': v:exception . ' in ' . v:throwpoint}}
            endtry
            call writefile([json_encode(g:told)], '{paths["result.json"]}')
            qall!
            """,
            encoding="utf-8",
        )
        begin = [*self.words, "-es", "-u", str(paths["prelude.vim"]), "-S", str(paths["script.vim"])]
        env = {**os.environ, "HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder), "TERM": "dumb"}
        done = subprocess.run(
            begin,
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert paths["result.json"].is_file(), done.stderr + done.stdout
        told = json.loads(paths["result.json"].read_text(encoding="utf-8"))
        paths["result.json"].unlink()
        assert "error" not in told, told["error"]
        return told["result"]


@pytest.fixture(params=["vim", "nvim"])
def vi(request: pytest.FixtureRequest, tmp_path: Path) -> Vi:
    program = shutil.which(request.param)
    if program is None:
        pytest.skip(f"without {request.param}")
    return Vi(program, tmp_path)


GROUPS = {
    "comment": "espComment",
    "declaration": "espDeclaration",
    "config": "espConfig",
    "name": "espName",
    "base": "espBase",
    "machine": "espMachine",
    "stage": "espStage",
    "own stage": "espOwnStage",
    "required": "espRequired",
    "runs": "espRuns",
    "on": "espOn",
    "new": "espNew",
    "key": "espKey",
    "block key": "espBlockKey",
    "hydra key": "espHydraKey",
    "own key": "espOwnKey",
    "quoted key": "espQuotedKey",
    "type": "espType",
    "own type": "espOwnType",
    "dim": "espDim",
    "number": "espNumber",
    "text": "espString",
    "long text": "espLongString",
    "interpolation": "espInterpolation",
    "constant": "espConstant",
    "reference": "espReference",
    "partial": "espPartial",
    "call": "espCall",
    "backend": "espBackend",
    "argument": "espArgument",
}


def colours_as_the_parser_reads(vi: Vi, texts: list[str]) -> None:
    wanted: list[list[tuple[int, int, str]]] = []
    for number, text in enumerate(texts):
        (vi.folder / f"{number}.esp").write_bytes(text.encode())
        source = Source(f"{number}.esp", text)
        places = [(*source.position(offset), role) for offset, role in roles(source)]
        lines = [source.line_text(line) for line in range(1, source.line_count + 1)]
        # Vim counts bytes.
        wanted.append([(row, len(lines[row - 1][: column - 1].encode()) + 1, role) for row, column, role in places])
    asked = json.dumps([[[row, column] for row, column, _ in places] for places in wanted])
    (vi.folder / "places.json").write_text(asked, encoding="utf-8")
    groups = vi.run(
        """
        let g:result = []
        let s:number = 0
        for s:places in json_decode(join(readfile('places.json'), ''))
          execute 'edit' s:number . '.esp'
          let s:number += 1
          call add(g:result, map(s:places, 'synIDattr(synID(v:val[0], v:val[1], 1), "name")'))
        endfor
        """
    )
    for text, places, found in zip(texts, wanted, groups, strict=True):
        for (row, column, role), group in zip(places, found, strict=True):
            assert group == GROUPS[role], f"line {row}, byte {column}, a {role}:\n{text.splitlines()[row - 1]}"


@pytest.mark.editors
def test_words_are_coloured_by_what_they_are_where_they_stand(vi: Vi) -> None:
    texts = [path.read_text(encoding="utf-8") for path in (*ok_fixtures(), *FORMATTED)]
    assert sum(len(roles(Source("r", text))) for text in texts) > 2000

    colours_as_the_parser_reads(vi, texts)


@pytest.mark.editors
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(recipe, min_size=10, max_size=10))
def test_words_of_any_recipe_are_coloured_by_what_they_are(vi: Vi, recipes: list[list[str]]) -> None:
    """Names are the words of the language here, and the other way round."""
    colours_as_the_parser_reads(vi, formatted_texts(recipes))


def formatted_texts(recipes: list[list[str]]) -> list[str]:
    texts = [format_text(Source("r", " ".join(each))) for each in recipes]
    return [text for text in texts if text]


@pytest.mark.editors
def test_what_stands_inside_texts_and_comments(vi: Vi) -> None:
    lines = [
        'let a = "${exp_dir}/x \\n $${no} ${oc.env:A,${b}} \\q"  # TODO # esp: ignore[ESP0301]',
        'let b = 5min',
        'let c = 5parsecs',
    ]  # fmt: skip
    (vi.folder / "recipe.esp").write_text("\n".join(lines), encoding="utf-8")
    wanted = {
        (1, "${"): "espInterpolationMark",
        (1, "exp_dir"): "espInterpolation",
        (1, "}/x"): "espInterpolationMark",
        (1, "/x"): "espString",
        (1, r"\n"): "espEscape",
        (1, "$${no"): "espDollar",
        (1, "no}"): "espString",
        (1, "oc.env"): "espInterpolation",
        (1, "b}}"): "espInterpolation",
        (1, r"\q"): "espBadEscape",
        (1, "TODO"): "espTodo",
        (1, "esp:"): "espIgnore",
        (2, "min"): "espNumber",
        (3, "parsecs"): "",
    }
    places = [[row, lines[row - 1].index(text) + 1] for row, text in wanted]

    found = vi.run(
        f"""
        edit recipe.esp
        let g:result = map({places}, 'synIDattr(synID(v:val[0], v:val[1], 1), "name")')
        """
    )

    assert dict(zip(wanted, found, strict=True)) == wanted


@pytest.mark.editors
def test_groups_are_linked_to_those_that_colour_schemes_have(vi: Vi) -> None:
    groups = {
        "espDeclaration": "Keyword",
        "espStage": "Function",
        "espKey": "Identifier",
        "espType": "Type",
        "espString": "String",
        "espEscape": "SpecialChar",
        "espNumber": "Number",
        "espConstant": "Constant",
        "espComment": "Comment",
        "espTodo": "Todo",
    }

    said = vi.run(f"""
        edit recipe.esp
        let g:result = map({list(groups)}, 'execute("highlight " . v:val)')
        """)

    assert {group: told.split()[-1] for group, told in zip(groups, said, strict=True)} == groups


def unindented(text: str) -> str:
    """A text without white space at the beginning of its lines, but for those inside long texts."""
    pieces = re.split(r'("""(?:\\[\s\S]|(?!""")[^\\])*""")', text)
    return "".join(piece if number % 2 else re.sub(r"(?<=\n)[ \t]+", "", piece) for number, piece in enumerate(pieces))


def indented_by(vi: Vi, texts: list[str]) -> list[str]:
    for number, text in enumerate(texts):
        (vi.folder / f"{number}.esp").write_bytes(text.encode())
    vi.run(f"""
        for s:number in range({len(texts)})
          execute 'edit' s:number . '.esp'
          normal! gg=G
          write
        endfor
        """)
    return [(vi.folder / f"{number}.esp").read_bytes().decode() for number in range(len(texts))]


@pytest.mark.editors
def test_indentation_is_that_of_the_formatter(vi: Vi) -> None:
    texts = [path.read_bytes().decode() for path in FORMATTED]
    texts += [text for path in ok_fixtures() if (text := format_text(Source("r", path.read_bytes().decode())))]

    assert indented_by(vi, texts) == texts
    bare = [unindented(text) for text in texts]
    assert bare != texts
    assert indented_by(vi, bare) == texts


@pytest.mark.editors
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(recipe, min_size=10, max_size=10))
def test_indentation_of_any_recipe_is_that_of_the_formatter(vi: Vi, recipes: list[list[str]]) -> None:
    texts = formatted_texts(recipes)

    assert indented_by(vi, [unindented(text) for text in texts]) == texts


@pytest.mark.editors
def test_lines_are_indented_as_they_are_typed(vi: Vi) -> None:
    found = vi.run(
        """
        edit typed.esp
        let s:lines = ['training {', 'optimizer = torch.optim.AdamW(', 'lr = 1e-3,', ')', 'list = [{', 'a = 1', '}]', '}']
        execute 'normal! i' . join(s:lines, "\\<CR>")
        let g:result = getline(1, '$')
        """
    )

    assert found == [
        "training {",
        "  optimizer = torch.optim.AdamW(",
        "    lr = 1e-3,",
        "  )",
        "  list = [{",
        "    a = 1",
        "  }]",
        "}",
    ]


@pytest.mark.editors
def test_settings_of_a_recipe_are_set_and_taken_back(vi: Vi, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    names = [
        "commentstring",
        "comments",
        "suffixesadd",
        "matchpairs",
        "shiftwidth",
        "expandtab",
        "indentexpr",
        "makeprg",
    ]
    before, during, after, commands = vi.run(
        f"""
        let s:names = {names}
        edit plain.txt
        let g:result = [map(copy(s:names), 'getbufvar("", "&" . v:val)')]
        edit recipe.esp
        call add(g:result, map(copy(s:names), 'getbufvar("", "&" . v:val)'))
        let s:commands = exists(':Esp3cRun') + exists(':Esp3cPlan') + exists(':Esp3cBuild')
        set filetype=text
        call add(g:result, map(copy(s:names), 'getbufvar("", "&" . v:val)'))
        call add(g:result, [s:commands, exists(':Esp3cRun') + exists(':Esp3cPlan') + exists(':Esp3cBuild')])
        """
    )

    assert during[:6] == ["# %s", ":#", ".esp,.py", "(:),[:],{:}", 2, 1]
    assert during[6] == "GetEspIndent(v:lnum)"
    assert during[7] == "esp3c check $* %:S"
    assert after == before
    assert commands == [6, 0]


@pytest.mark.editors
def test_brackets_fold_where_that_is_asked_for(vi: Vi) -> None:
    (vi.folder / "recipe.esp").write_text("training {\n  trainer {\n    devices = 1\n  }\n}\n", encoding="utf-8")

    found = vi.run(
        """
        edit recipe.esp
        let g:result = [&l:foldmethod]
        let g:esp3c_folding = 1
        edit
        call add(g:result, &l:foldmethod)
        call extend(g:result, map(range(1, 5), 'foldlevel(v:val)'))
        """
    )

    assert found == ["manual", "syntax", 1, 2, 2, 2, 1]


def copied(folder: Path) -> Path:
    """The recipe of a copy of a folder of ours."""
    shutil.copytree(ROOT / "recipes" / "spoken_digits", folder, ignore=shutil.ignore_patterns("exp", "data", ".esp3c"))
    return folder / "recipe.esp"


PROGRAM = f"let g:esp3c_program = ['{sys.executable}', '-m', 'esp3c']"


@pytest.mark.editors
def test_make_fills_the_quickfix_list(vi: Vi) -> None:
    recipe = copied(vi.folder / "a folder")
    text = recipe.read_text(encoding="utf-8")
    text = text.replace("hidden_size = 192", "hiden_size = 192").replace("training {", "let spare = 1\ntraining {")
    recipe.write_text(text, encoding="utf-8")
    printed = subprocess.run(
        [sys.executable, "-m", "esp3c", "check", "--format", "json", str(recipe)],
        capture_output=True,
        text=True,
        check=False,
    )
    diagnostics = json.loads(printed.stdout)["diagnostics"]
    assert {each["severity"] for each in diagnostics} == {"error", "warning"}
    assert "did you mean `hidden_size`?" in {each["primary"]["label"] for each in diagnostics}

    entries = vi.run(rf"""
        {PROGRAM}
        cd a\ folder
        edit recipe.esp
        silent make
        let g:result = getqflist()
        for s:entry in g:result
          let s:entry.name = fnamemodify(bufname(s:entry.bufnr), ':p')
        endfor
        """)

    assert [(each["lnum"], each["col"], each["type"], each["nr"]) for each in entries] == [
        (at["line"], at["column"], each["severity"][0].upper(), int(each["code"].removeprefix("ESP")))
        for each in diagnostics
        for at in [each["primary"]]
    ]
    for entry, each in zip(entries, diagnostics, strict=True):
        assert entry["name"] == str(recipe)
        assert entry["valid"]
        first, *rest = entry["text"].split("\n")
        assert first == each["message"]
        assert rest == [
            *filter(None, [each["primary"]["label"]]),
            *(f"help: {line}" for line in each["help"]),
            *([f"fix: {each['fix']['title']}"] if each["fix"] else []),
        ]


@pytest.mark.editors
def test_make_of_a_right_recipe_leaves_the_list_empty(vi: Vi) -> None:
    copied(vi.folder / "right")

    assert vi.run(f"""
        {PROGRAM}
        edit right/recipe.esp
        silent make
        let g:result = [v:shell_error, getqflist()]
        """) == [0, []]


@pytest.mark.editors
def test_the_program_is_that_of_the_environment_that_is_nearest(vi: Vi, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the other editors look for it: the repository's own, the active one, then PATH."""
    repository = vi.folder / "repository"
    (repository / "one").mkdir(parents=True)
    (repository / ".git").mkdir()
    (repository / "one" / "recipe.esp").write_text("stages { train }\n", encoding="utf-8")
    places = [repository / ".venv", repository / "venv", vi.folder / "active", vi.folder / "conda"]
    for place in places:
        (place / "bin").mkdir(parents=True)
        (place / "bin" / "esp3c").write_text("#!/bin/sh\n", encoding="utf-8")
        (place / "bin" / "esp3c").chmod(0o755)
    monkeypatch.setenv("VIRTUAL_ENV", str(places[2]))
    monkeypatch.setenv("CONDA_PREFIX", str(places[3]))

    *found, make, own = vi.run(
        f"""
        edit repository/one/recipe.esp
        let s:make = &l:makeprg
        let g:result = []
        for s:place in {[str(place) for place in places]}
          call add(g:result, esp3c#program())
          call delete(s:place . '/bin/esp3c')
        endfor
        call add(g:result, esp3c#program())
        let g:esp3c_program = ['uv', 'run', 'esp3c']
        let g:result += [s:make, esp3c#program()]
        """
    )

    assert found == [*([str(place / "bin" / "esp3c")] for place in places), ["esp3c"]]
    assert make == f"{places[0]}/bin/esp3c check $* %:S"
    assert own == ["uv", "run", "esp3c"]


@pytest.mark.editors
def test_a_dotted_path_leads_to_its_file(vi: Vi) -> None:
    module = vi.folder / "src" / "model.py"
    module.parent.mkdir()
    module.touch()
    (vi.folder / "recipe.esp").write_text("let x = src.model.Reader\n", encoding="utf-8")

    assert vi.run(
        """
        edit recipe.esp
        call search('src')
        normal gf
        let g:result = expand('%:p')
        """
    ) == str(module)


@pytest.mark.editors
def test_stages_of_the_recipe_are_completed(vi: Vi) -> None:
    (vi.folder / "recipe.esp").write_text(
        "stages { create_dataset  train_easy requires training runs train\n  train on gpu }\nconfig train { train = 1 }\n",
        encoding="utf-8",
    )

    assert vi.run(
        """
        edit recipe.esp
        let g:result = [getcompletion('Esp3cRun ', 'cmdline'), getcompletion('Esp3cRun tr', 'cmdline')]
        """
    ) == [["create_dataset", "train_easy", "train"], ["train_easy", "train"]]


@pytest.mark.editors
def test_a_command_runs_in_a_terminal_in_the_folder_of_the_recipe(vi: Vi) -> None:
    folder = vi.folder / "below"
    folder.mkdir()
    (folder / "recipe.esp").write_text("stages { train }\n", encoding="utf-8")
    program = vi.folder / "program"
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$PWD" "$@" > {vi.folder}/part\nmv {vi.folder}/part {vi.folder}/ran\n'
    )
    program.chmod(0o755)

    refused, ran, kind = vi.run(
        f"""
        let g:esp3c_program = '{program}'
        edit below/recipe.esp
        call setline(1, 'stages {{ train  infer }}')
        redir => s:said
        silent Esp3cRun train
        redir END
        let g:result = [s:said]
        set autowrite
        Esp3cRun train infer
        let s:tries = 0
        while !filereadable('ran') && s:tries < 500
          let s:tries += 1
          sleep 10m
        endwhile
        let g:result += [readfile('ran'), &buftype]
        """
    )

    assert "has changes that are not written" in refused
    assert ran == [str(folder), "run", "recipe.esp", "--stages", "train", "infer"]
    assert kind == "terminal"
    assert (folder / "recipe.esp").read_text(encoding="utf-8") == "stages { train  infer }\n"


@pytest.mark.editors
def test_a_program_that_is_not_there_is_said(vi: Vi) -> None:
    (vi.folder / "recipe.esp").write_text("stages { train }\n", encoding="utf-8")

    said, windows = vi.run(
        """
        let g:esp3c_program = 'no-such-esp3c'
        edit recipe.esp
        redir => s:said
        silent Esp3cBuild
        redir END
        let g:result = [s:said, winnr('$')]
        """
    )

    assert "no-such-esp3c is not a program here" in said
    assert windows == 1


@pytest.mark.editors
def test_every_tag_of_the_help_is_found(vi: Vi) -> None:
    tags = re.findall(r"\*([^*\s]+)\*", (PLUGIN / "doc" / "esp3c.txt").read_text(encoding="utf-8"))
    assert {"esp3c", "g:esp3c_program", ":Esp3cRun"} <= set(tags)
    # Beside the plugin, since it is not to be written to.
    shutil.copytree(PLUGIN / "doc", vi.folder / "doc", ignore=shutil.ignore_patterns("tags"))

    assert vi.run(
        f"""
        helptags {vi.folder}/doc
        set runtimepath^={vi.folder}
        let g:result = []
        for s:tag in {tags}
          execute 'help' s:tag
          call add(g:result, expand('%:t'))
        endfor
        """
    ) == ["esp3c.txt"] * len(tags)
