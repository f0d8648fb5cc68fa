"""Writes `docs/errors/`: one page an error code, made from the docstring of the rule, and the list of all of them.

python docs/make_pages.py            write the pages
python docs/make_pages.py --check    write nothing; fail where a page is not what the code says
"""

from __future__ import annotations

import sys
from pathlib import Path

from esp3c.diagnostics import Code
from esp3c.pipeline import codes

HERE = Path(__file__).resolve().parent / "errors"
NOTE = "<!-- made by docs/make_pages.py from the rule's docstring -->"


def page(code: Code) -> str:
    return f"{NOTE}\n\n# {code.id}: {code.title}\n\n*{code.severity}, family {code.family}*\n\n{code.page}\n"


def index(found: dict[str, Code]) -> str:
    lines = [NOTE, "", "# Error codes", "", "`esp3c explain CODE` prints the same pages.", ""]
    family = ""
    for code in found.values():
        if code.family != family:
            family = code.family
            lines += ["", f"## {family}", ""]
        lines.append(f"- [{code.id}]({code.id}.md) {code.title}" + (" (warning)" if code.severity == "warning" else ""))
    return "\n".join(lines) + "\n"


def main() -> int:
    found = codes()
    wanted = {f"{code.id}.md": page(code) for code in found.values()} | {"README.md": index(found)}
    there = {path.name: path.read_text(encoding="utf-8") for path in HERE.glob("*.md")}
    if "--check" in sys.argv[1:]:
        wrong = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
        if wrong:
            print("docs/errors is not what the code says; run `make docs`: " + ", ".join(wrong[:8]))
        return 1 if wrong else 0
    HERE.mkdir(exist_ok=True)
    for name in there.keys() - wanted.keys():
        (HERE / name).unlink()
    for name, text in wanted.items():
        (HERE / name).write_text(text, encoding="utf-8")
    print(f"wrote {len(wanted)} pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
