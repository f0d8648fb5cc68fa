"""Stages: what they are called, what runs them, which configs and keys they need, in which order."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

from esp3c.check.blocks import config_value
from esp3c.check.checkpoints import read_elsewhere
from esp3c.check.rule import needs_whole_file
from esp3c.diagnostics import Diagnostic, Edit, Fix, Label, Severity, code_of, explained
from esp3c.ir import CallNode, Config, ListNode, MapNode, PythonNode, Recipe, Scalar, Stage, Text, Use, at, strip
from esp3c.schema.blocks import CONFIGS, OWN
from esp3c.schema.stages import KNOWN_STAGES
from esp3c.source import Span
from esp3c.suggest import all_of, certain, did_you_mean, nearest, one_of
from esp3c.world import World


def _built_in(stage: Stage) -> str | None:
    """The system stage that a line runs, under its own name or through `runs`."""
    if isinstance(stage.runs, Use):
        return stage.runs.name
    return stage.name if stage.runs is None and stage.workload is None else None


@explained("ESP0601", "the system has no such stage")
def unknown_stage(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A stage line names a stage that the system class does not have, and does not say what runs it.

        stages { trian }

    Either the name is misspelt, or the stage is the recipe's own and needs `runs`:

        stages { export_onnx  requires training  runs src.stages.export_onnx }
    """
    system = recipe.system
    if system is None or system.stages is None:
        return
    for stage in recipe.stages:
        if stage.runs is None and stage.workload is None and stage.name not in system.stages:
            near = did_you_mean(stage.name, system.stages)
            yield Diagnostic(
                code_of(unknown_stage),
                f"`{system.path.rsplit('.', 1)[-1]}` has no stage `{stage.name}`",
                Label(stage.name_span, near or "it needs `runs` and the path of a function"),
                help=("the system's stages are " + ", ".join(system.stages),),
                fix=_write(stage.name_span, certain(stage.name, nearest(stage.name, system.stages))),
            )


def _write(span: Span, meant: str | None) -> Fix | None:
    return Fix(f"write `{meant}`", (Edit(span, meant),)) if meant is not None else None


_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_NOUNS = ("alignment", "alignments", "tokenizer", "stats", "statistics", "inference", "evaluation", "training", "metrics",
          "exporter", "preparation", "conversion", "model", "dataset", "labels", "features")  # fmt: skip
_VERBS = frozenset({"export", "prepare", "train", "convert", "extract", "build", "create", "infer", "measure", "collect", "pack",
                    "upload", "download", "evaluate", "check", "split", "merge", "compute", "generate", "make", "write"})  # fmt: skip


def _verb_of(word: str) -> str | None:
    """The verb that a word is a form of: `export` of `exported` and `exporting`."""
    for ending in ("ed", "ing", "d", "er", "s"):
        stem = word.removesuffix(ending)
        if stem != word and word not in _VERBS:
            for each in (stem, stem + "e"):
                if each in _VERBS:
                    return each
    return None


_RESERVED = ("exp_dir", "stage_log_dirs", "all", "run_with_config")


@explained("ESP0602", "not a name for a stage")
def stage_name(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A stage becomes a method of the system and a word of `--stages`: it is verb-style snake_case.

        stages { ExportONNX runs src.stages.export_onnx }

    Lower case, words joined by `_`, not the name of an attribute that the system already has.
    """
    for stage in recipe.stages:
        if not _NAME.fullmatch(stage.name):
            better = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", stage.name).lower()
            yield Diagnostic(
                code_of(stage_name),
                f"`{stage.name}` is not a name for a stage",
                Label(stage.name_span, f"write it in snake_case: `{better}`"),
                fix=_write(stage.name_span, better) if _free(recipe, stage, better) else None,
            )
        elif stage.name in _RESERVED or keyword.iskeyword(stage.name) or stage.name.endswith("_config"):
            yield Diagnostic(
                code_of(stage_name),
                f"a stage cannot be called `{stage.name}`",
                Label(stage.name_span, "the system, `--stages` or Python has this word for something else"),
            )


def _free(recipe: Recipe, stage: Stage, better: str) -> bool:
    """Whether a stage can be renamed without a look elsewhere: nothing has the new name, or says the old one."""
    said = re.findall(r"\w+", stage.name_span.source.text).count(stage.name)
    taken = {each.name for each in recipe.stages} | {
        entry.name for config in recipe.configs.values() for entry in config.root.entries
    }
    return said == 1 and better not in {*taken, *_RESERVED} and _NAME.fullmatch(better) is not None


@explained("ESP0603", "a stage is not named by a verb", Severity.WARNING)
def stage_is_verb(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A stage of one's own is named by what it makes, not by what it does.

        stages { alignment runs src.stages.align }

    ESPnet3's stages are verbs: `train`, `collect_stats`. So `prepare_alignment`.
    """
    for stage in recipe.stages:
        words = stage.name.split("_")
        verb = _verb_of(words[0])
        if verb is not None:
            better = "_".join((verb, *words[1:]))
        elif stage.name in _NOUNS:
            better = f"prepare_{stage.name}"
        elif len(words) > 1 and words[-1] in _VERBS and words[0] not in _VERBS:
            better = "_".join((words[-1], *words[:-1]))
        else:
            continue
        yield Diagnostic(
            code_of(stage_is_verb),
            f"`{stage.name}` does not say what the stage does",
            Label(stage.name_span, f"a verb first, such as `{better}`"),
        )


@explained("ESP0604", "a stage needs a config that is not there")
@needs_whole_file
def missing_config(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A stage works with a config that the recipe does not have.

        stages { infer }                 # and no `inference { … }` in the file

    With ESPnet3 the run would stop before the stage, naming the flag. Add the block, or take the stage out.
    """
    for stage in recipe.stages:
        written = {use.name: use.span for use in stage.requires}
        for name in stage.needs:
            if name in recipe.configs:
                continue
            near = nearest(name, recipe.configs)
            meant = certain(name, near)
            block = f"`{name} {{ … }}`" if name in CONFIGS else f"`config {name} {{ … }}`"
            yield Diagnostic(
                code_of(missing_config),
                f"stage `{stage.name}` needs the config `{name}`",
                Label(
                    written.get(name, stage.name_span),
                    f"did you mean {one_of(near)}?"
                    if near and name in written
                    else f"there is no {block} in this file",
                ),
                fix=_write(written[name], meant) if name in written else None,
            )


@explained("ESP0605", "a config lacks a key that its stage reads")
@needs_whole_file
def missing_key(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A stage reads a key of its config that is not set.

        inference { model = src.inference.Recognizer() }       # no `dataset { test { … } }`
        stages { infer }

    It would fail when the stage begins, possibly hours after the ones before it.
    """
    for stage in recipe.stages:
        name = _built_in(stage)
        known = KNOWN_STAGES.get(name) if name else None
        if known is None:
            continue
        # `runs train requires training_easy`: the config given stands in the place of the stage's own.
        stands_for = recipe.stands_for(stage, known)
        lacking: dict[str, list[str]] = {}
        for wanted in known.reads:
            options = [option.partition(".") for option in wanted.split("|")]
            config = recipe.configs.get(stands_for.get(options[0][0], options[0][0]))
            absent = config is not None and all(_is_absent(config, rest) for _, _, rest in options)
            if config is not None and absent and not _misspelt(config, [rest for _, _, rest in options]):
                lacking.setdefault(config.name, []).append(one_of(rest for _, _, rest in options))
        for config_name, keys in lacking.items():
            shown = keys[0] if len(keys) == 1 else ", ".join(keys[:-1]) + " and no " + keys[-1]
            yield Diagnostic(
                code_of(missing_key),
                f"`{config_name}` has no {shown}, which stage `{stage.name}` reads",
                Label(_innermost(recipe.configs[config_name], keys), "missing in this block"),
                secondary=(Label(stage.name_span, "this stage reads it"),),
            )


def _is_absent(config: Config, place: str) -> bool:
    value = config_value(config, place)
    plain = strip(value) if value is not None else None
    return plain is None or (isinstance(plain, Scalar) and plain.value is None)


@explained("ESP0606", "a stage stands before one that it builds on", Severity.WARNING)
def stage_order(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """Stages run in the order of the file, and one stands before another whose results it uses.

        stages { infer  train }

    Nothing infers before it trains, or measures before it infers. An inference whose model names a checkpoint from elsewhere,
    to compare with it later, may come first.
    """
    places: dict[str, list[int]] = {}
    for index, stage in enumerate(recipe.stages):
        name = _built_in(stage)
        if name is not None:
            places.setdefault(name, []).append(index)
    for index, stage in enumerate(recipe.stages):
        known = KNOWN_STAGES.get(_built_in(stage) or "")
        # With several trainings, one that comes before is enough.
        late = [
            name
            for name in (known.after if known is not None else ())
            if name in places and all(place > index for place in places[name])
        ]
        if late and not (late == ["train"] and _trained_elsewhere(recipe, stage)):
            other = recipe.stages[places[late[0]][0]]
            yield Diagnostic(
                code_of(stage_order),
                f"`{stage.name}` runs before {all_of(late)}",
                Label(stage.name_span, f"it uses what `{late[0]}` makes"),
                secondary=(Label(other.name_span, "this comes later"),),
            )


def _trained_elsewhere(recipe: Recipe, stage: Stage) -> bool:
    """Whether what a stage infers with is a model that no stage of the recipe trains: the one to compare with."""
    known = KNOWN_STAGES.get(_built_in(stage) or "")
    name = recipe.stands_for(stage, known).get("inference") if known is not None else None
    config = recipe.configs.get(name) if name is not None else None
    model = config.root.get("model") if config is not None else None
    return config is not None and model is not None and read_elsewhere(recipe, config, model)


@explained("ESP0607", "the requires clause and the stage disagree")
def requires_mismatch(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A stage that the system has is written with configs that do not fit those that it works with.

        stages { measure requires inference }

    For a stage of the system `requires` can be left out. Where it stands, it names the same configs in the same order,
    or, with `runs`, configs that extend them.
    """
    for stage in recipe.stages:
        name = _built_in(stage)
        known = KNOWN_STAGES.get(name) if name else None
        if known is None or not stage.requires or isinstance(stage.runs, PythonNode):
            continue
        kinds = [recipe.kind_of(use.name) for use in stage.requires]
        slots = known.slots(kinds)
        missing = set(known.requires) - set(slots)
        if missing or any(not slot or (kind and kind != slot) for kind, slot in zip(kinds, slots, strict=True)):
            also = f", and may be given {all_of(known.also)}" if known.also else ""
            yield Diagnostic(
                code_of(requires_mismatch),
                f"`{name}` works with {all_of(known.requires)}{also}",
                Label(stage.requires[0].span.to(stage.requires[-1].span), "not with these"),
            )


@explained("ESP0608", "a stage of one's own says what runs and what it declares", Severity.ERROR)
def runs_and_workload(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A stage line has both `runs` and a block, or its block lacks what a workload needs.

        stages { label_all { runner = src.label.Runner() } }

    A block declares a parallel workload: `runner`, `provider`, and the items that they go `over`.

        stages {
          label_all on here { runner = src.label.Runner()  provider = src.label.Provider()  over = training.dataset.train }
        }
    """
    for stage in recipe.stages:
        if stage.workload is None:
            continue
        if stage.runs is not None:
            yield Diagnostic(
                code_of(runs_and_workload),
                f"stage `{stage.name}` has both `runs` and a workload",
                Label(stage.name_span, "either a function runs it, or a runner does"),
            )
        taken = _taken(recipe, stage)
        if taken is not None:
            yield Diagnostic(
                code_of(runs_and_workload),
                f"`{taken}` has a key `{stage.name}` already",
                Label(stage.name_span, "the workload would be written under this name: choose another"),
            )
        if not _goes_over_items(recipe, stage) and stage.over is not None and stage.over_span is not None:
            place = ".".join((stage.over[0], *map(str, stage.over[1])))
            yield Diagnostic(
                code_of(runs_and_workload),
                f"`{place}` is not a dataset to go over",
                Label(stage.over_span, "a list of dataset entries is wanted, such as `training.dataset.train`"),
            )
        absent = [key for key in ("runner", "provider") if stage.workload.get(key) is None]
        if stage.over is None and not any(span_in(fact.span, stage) for fact in recipe.facts if hasattr(fact, "span")):
            absent.append("over")
        if absent:
            yield Diagnostic(
                code_of(runs_and_workload),
                f"the workload of `{stage.name}` has no {all_of(absent)}",
                Label(stage.name_span, "needed in the block behind this"),
            )


def _goes_over_items(recipe: Recipe, stage: Stage) -> bool:
    """Whether `over` names datasets, or something of which that is not known."""
    config = recipe.configs.get(stage.over[0]) if stage.over is not None else None
    node = at(config.root, stage.over[1]) if config is not None and stage.over is not None else None
    value = strip(node) if node is not None else None
    if stage.over is not None and stage.over[1] == ("dataset",):
        # The whole block, and none of the lists in it.
        return False
    if isinstance(value, ListNode):
        return all(not isinstance(strip(each), Scalar | CallNode) for each in value.items)
    return not isinstance(value, Scalar | Text | CallNode | PythonNode)


def _taken(recipe: Recipe, stage: Stage) -> str | None:
    """The config that uses the stage's name for something else."""
    config = recipe.configs.get(stage.over[0]) if stage.over is not None else None
    if config is None:
        return None
    known = CONFIGS.get(config.kind, OWN).key(stage.name) is not None
    return config.name if known or config.root.get(stage.name) is not None else None


def _innermost(config: Config, keys: list[str]) -> Span:
    """The place of the innermost block that is there on the way to a key; the config's name, where none is."""
    dotted = keys[0].split("`")[1] if len(keys) == 1 and keys[0].count("`") == 2 else ""
    span, block = config.name_span, config.root
    for step in dotted.split(".")[:-1]:
        entry = next((each for each in block.entries if each.name == step), None)
        inner = strip(entry.value) if entry is not None else None
        if entry is None or not isinstance(inner, MapNode) or entry.key_span.source is not span.source:
            break
        span, block = entry.key_span, inner
    return span


def _misspelt(config: Config, wanted: list[str]) -> bool:
    """Whether a key of the config looks like the wanted one: it is reported as unknown then."""
    known = CONFIGS.get(config.kind, OWN)
    unknown = [entry.name for entry in config.root.entries if known.key(entry.name) is None]
    return any(nearest(dotted.split(".")[0], unknown) for dotted in wanted)


def span_in(span: object, stage: Stage) -> bool:
    start, end = getattr(span, "start", -1), getattr(span, "end", -1)
    return stage.span.start <= start and end <= stage.span.end


@explained("ESP0609", "two stages write the same folder")
def same_folder(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """Two trainings of the recipe write into one experiment folder.

        stages { train_easy requires training_easy runs train   train_full requires training_full runs train }

    The second finds the checkpoints of the first and goes on from them, or overwrites them. Give each config an
    `exp_tag` of its own.
    """
    folders: dict[str, Stage] = {}
    for stage in recipe.stages:
        if _built_in(stage) != "train":
            continue
        for name in stage.needs[:1]:
            config = recipe.configs.get(name)
            if config is None:
                continue
            folder = _folder(recipe, config.name)
            if folder is None:
                continue
            before = folders.setdefault(folder, stage)
            if before is not stage:
                yield Diagnostic(
                    code_of(same_folder),
                    f"`{before.name}` and `{stage.name}` write the same experiment folder",
                    Label(stage.name_span, f"writes {folder}"),
                    secondary=(Label(before.name_span, "and so does this"),),
                    help=("give one of their configs an `exp_tag` of its own",),
                )


def _folder(recipe: Recipe, config: str) -> str | None:
    root = recipe.configs[config].root
    for key in ("exp_dir", "exp_tag"):
        node = root.get(key) or recipe.settings.get(key)
        value = strip(node) if node is not None else None
        if isinstance(value, Text):
            return None
        if isinstance(value, Scalar) and isinstance(value.value, str):
            return value.value if key == "exp_dir" else f"exp/{value.value}"
    return f"exp/{config}"
