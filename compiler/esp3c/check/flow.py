"""The flow of the data: dataset → transform → preprocessor → collate → `forward`, and inference → outputs → metrics.

The flow is followed once a recipe (`flow_of`), from declared samples and from the recipe's Python as it is written. What
cannot be known makes all that comes after it unknown, which is silent here and is listed by `unchecked_links`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from esp3c.check.account import Unchecked
from esp3c.check.flow_base import Flow
from esp3c.check.flow_inference import inference_flow
from esp3c.check.flow_items import Datasets
from esp3c.check.flow_logged import logged_flow
from esp3c.check.flow_metrics import metrics_flow
from esp3c.check.flow_params import params_flow
from esp3c.check.flow_plateau import plateau_flow
from esp3c.check.flow_training import training_flow
from esp3c.check.rule import needs_whole_file
from esp3c.diagnostics import Diagnostic, Severity, code_of, explained
from esp3c.ir import Recipe
from esp3c.python.reader import reader
from esp3c.world import World

# The last one only: it holds its world.
_LATEST: deque[Flow] = deque(maxlen=1)


def flow_of(recipe: Recipe, world: World) -> Flow:
    """All that is known of the flow of a recipe's data. It is followed once, for all the rules."""
    reading = reader(world)
    flow = next((each for each in _LATEST if each.recipe is recipe and each.reader is reading), None)
    if flow is None:
        flow = Flow(recipe, reading)
        datasets = Datasets(flow)
        for name in recipe.datasets:
            datasets.items(name)
        training_flow(flow, datasets)
        logged_flow(flow)
        plateau_flow(flow)
        params_flow(flow)
        metrics_flow(flow, inference_flow(flow, datasets))
        _LATEST.append(flow)
    return flow


def unchecked_links(recipe: Recipe, world: World) -> Iterable[Unchecked]:
    """The links of the flow that could not be followed, with the reason."""
    for each in flow_of(recipe, world).unknown.values():
        yield Unchecked(each.span, each.what, each.why)


def proved_links(recipe: Recipe, world: World) -> int:
    """How many links of the flow were followed and hold."""
    return flow_of(recipe, world).proved


def said(rule: Callable[..., object], recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """What was found on the way of the data for a rule, by the name of its function."""
    for each in flow_of(recipe, world).findings.values():
        if each.rule == rule.__name__:
            yield Diagnostic(code_of(rule), each.message, each.primary, each.secondary, each.help)


@needs_whole_file
@explained("ESP0501", "a sample field that no item holds")
def sample_key(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`sample` declares a field that the dataset's `__getitem__` does not return.

        dataset digits {
          class = dataset.dataset.SpokenDigits      # returns {"utt_id": …, "speech": …, "text": …}
          sample { utt_id: str  audio: float32[time]  text: str }
        }

    All other checks believe `sample`, and so do people. Give the field the name that the class returns, or return it. A field
    that only some items hold is declared with `?` behind its name.
    """
    return said(sample_key, recipe, world)


@needs_whole_file
@explained("ESP0502", "a sample field of another type")
def sample_kind(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`sample` declares a type that the dataset's `__getitem__` surely does not return.

        sample { utt_id: int  speech: float32[time] }      # return {"utt_id": f"utt_{index}", …}

    Only what is plain to see is compared: texts, numbers, and arrays that are made on the spot.
    """
    return said(sample_kind, recipe, world)


@needs_whole_file
@explained("ESP0503", "an item that is no dict")
def item_is_dict(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A dataset, a transform or a preprocessor gives something other than a dict.

        def lower(sample):
            sample["text"] = sample["text"].lower()        # and no `return sample`

    ESPnet3 hands an item from step to step as a dict of names and values, and stops where it gets anything else. Return the
    item at the end of the function; return names and values instead of a tuple.
    """
    return said(item_is_dict, recipe, world)


@needs_whole_file
@explained("ESP0504", "a step that reads a field which is not there")
def missing_item_key(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A transform, a preprocessor or a collate function reads a field that items do not hold when they reach it.

        train = [digits(split = "train") { transform = src.transforms.RandomGain(max_db = 6) }]

    where `RandomGain.__call__` reads `sample["audio"]` and the items of `digits` hold `speech`. Only a field that is read
    under no condition counts. Correct the name, or return the field in the dataset.
    """
    return said(missing_item_key, recipe, world)


@needs_whole_file
@explained("ESP0505", "a step that cannot be called with an item")
def called_with(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A transform, preprocessor or collate function cannot be called as ESPnet3 calls it.

        preprocessor = src.text.CharTokens                 # a class: make an object, CharTokens(vocabulary = "…")
        transform    = src.transforms.gain                 # def gain(sample, max_db)

    A transform is called with the item; a preprocessor with the item, or with its name and the item; a collate function with
    the list of items. Further arguments of a function are given here, by name: `src.transforms.gain(max_db = 6)`.
    """
    return said(called_with, recipe, world)


@needs_whole_file
@explained("ESP0506", "batches cut by a field that has no length")
def shape_key(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`shape_key` names a field that items do not hold, or one that is no array.

        dataloader { train { batch_bins = 4_000_000  shape_key = "wav" } }

    Batches are cut by the length of this field, as it is behind the preprocessor.
    """
    return said(shape_key, recipe, world)


@needs_whole_file
@explained("ESP0507", "the model needs what no batch holds")
def batch_lacks(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The model's `forward` has a parameter that no field of a batch is named like.

        def forward(self, speech, speech_lengths, tokens, tokens_lengths): …     # the items hold `speech` and `text`

    ESPnet3 calls `model(**batch)`: fields reach `forward` by name. `CommonCollateFn` adds `NAME_lengths` for each
    array and leaves texts out. Rename the parameter or the field, add what is missing in the dataset or the preprocessor, or
    give the parameter a default.
    """
    return said(batch_lacks, recipe, world)


@needs_whole_file
@explained("ESP0508", "the batch holds what the model does not take")
def batch_surplus(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """Every batch has a field that the model's `forward` has no parameter for.

        def forward(self, speech, speech_lengths): …        # the items also hold `speaker: int`

    ESPnet3 calls `model(**batch)`, and Python refuses an unknown name. Add the parameter, or `**batch` for what the model
    does not need.
    """
    return said(batch_surplus, recipe, world)


@needs_whole_file
@explained("ESP0509", "a `forward` that cannot be trained with")
def forward_result(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The model's `forward` returns something that a training step cannot use.

        return loss, {"loss": loss.detach()}                # a tuple of two

    A training takes a scalar loss, `(loss, stats, weight)`, or a dict with `loss`; with several optimizers the loss is a list
    of `OptimizationStep`.
    """
    return said(forward_result, recipe, world)


@needs_whole_file
@explained("ESP0510", "an `input_key` that no item holds")
def input_key(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`input_key` names a field that the items of a test set do not hold.

        inference { input_key = "audio" }                   # the items hold `utt_id`, `speech`, `text`

    The stage `infer` would stop at the first item.
    """
    return said(input_key, recipe, world)


@needs_whole_file
@explained("ESP0511", "a model that does not take its `input_key`")
def model_input(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """The model for inference has no parameter of the name of an input, or needs one more.

        inference { input_key = "speech"  model = src.inference.Recognizer() }    # def __call__(self, wave)

    The fields of `input_key` are handed to the model by name: `model(speech = …)`. A torch module is called through
    its `forward`.
    """
    return said(model_input, recipe, world)


@needs_whole_file
@explained("ESP0512", "an `output_fn` that cannot be called")
def output_fn_call(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`output_fn` is called by name, as `output_fn(data=…, model_output=…, idx=…)`, and must have these parameters.

        def build_output(sample, hyp): …

    Write a function `def build_output(data, model_output, idx)`: the item, what the model returned for it, and its
    number.
    """
    return said(output_fn_call, recipe, world)


@needs_whole_file
@explained("ESP0513", "an `output_fn` that reads a field which is not there")
def output_fn_reads(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`output_fn` reads a field of its item that the items of a test set do not hold.

        def build_output(data, model_output, idx):
            return {"utt_id": data["utt_id"], "hyp": model_output, "ref": data["transcript"]}

    The stage `infer` would stop at the first item, after the model has been loaded. Correct the name.
    """
    return said(output_fn_reads, recipe, world)


@needs_whole_file
@explained("ESP0514", "an `output_fn` that returns no outputs")
def output_fn_result(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`output_fn` returns something that holds no output: a tuple, a text, nothing, or with `batch_size` a single dict.

        def build_output(data, model_output, idx):
            return data["utt_id"], model_output

    It returns a dict with the name of the utterance and the fields to write. With a `batch_size` it gets a list of items, a
    batch's model output and a list of numbers, and returns a list of as many dicts.
    """
    return said(output_fn_result, recipe, world)


@needs_whole_file
@explained("ESP0515", "an output without the name of its utterance")
def output_without_id(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """What `output_fn` returns does not hold `utt_id`, or the field that `idx_key` names.

        return {"hyp": model_output, "ref": data["text"]}

    Each line of an SCP file begins with the name of the utterance. Return it, or say `idx_key = "…"`
    if it stands in another field.
    """
    return said(output_without_id, recipe, world)


@needs_whole_file
@explained("ESP0516", "an output key that is not returned")
def output_keys(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`output_keys` names a field that `output_fn` does not return.

        inference { output_keys = ["hyp", "reference"] }    # build_output returns `utt_id`, `hyp`, `ref`

    The stage `infer` would stop at the first item.
    """
    return said(output_keys, recipe, world)


@needs_whole_file
@explained("ESP0517", "an artifact that is not returned", Severity.WARNING)
def output_artifacts(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`output_artifacts` says how a field is written that `output_fn` does not return.

        inference { output_artifacts { audio { type = "wav"  sample_rate = 16000 } } }     # build_output returns `wav`

    The setting has no effect, and the field that was meant is written in its usual form.
    """
    return said(output_artifacts, recipe, world)


@needs_whole_file
@explained("ESP0518", "a metric reads what inference does not write")
def metric_field(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A metric reads a field that `output_fn` does not return, or that `output_keys` leaves out.

        metrics { metrics = [espnet3.systems.asr.metrics.wer.WER(ref_key = "ref", hyp_key = "hyp")] }

    where `build_output` returns `utt_id`, `hyp` and `text`. The stage `measure` would stop, after all items
    were decoded. Name a field that is returned, or return the field that is named.
    """
    return said(metric_field, recipe, world)


@needs_whole_file
@explained("ESP0519", "metrics of a test set that inference does not have")
def unknown_test_set(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`dataset.test` of the metrics names a test set that `dataset.test` of the inference does not have.

        metrics { dataset { test { seen = digits(split = "test") } } }           # inference has `seen_voices`

    Metrics read the folder of that name, which nothing writes. Without a `dataset`, all test sets are measured.
    """
    return said(unknown_test_set, recipe, world)


@needs_whole_file
@explained("ESP0520", "a field with the name of another one's lengths")
def lengths_taken(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """Items hold `speech` and `speech_lengths`, and the collate function makes a field of the second name itself.

        sample { speech: float32[time]  speech_lengths: int }

    `CommonCollateFn` puts the lengths of each array there and stops where an item has such a field already. Leave
    it out of the items.
    """
    return said(lengths_taken, recipe, world)


@needs_whole_file
@explained("ESP0521", "a number that is not logged")
def logged_metric(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A criterion or a monitor names a number that the training does not log.

        best_model_criterion = [["val_loss", 1, "min"]]

    A training logs `train/NAME` and `valid/NAME`, where NAME is `loss` or a name from the `stats` that the model's
    `forward` returns. Lightning stops after the first epoch where it is asked for another.
    """
    return said(logged_metric, recipe, world)


@needs_whole_file
@explained("ESP0522", "an artifact of a type that there is not")
def artifact_type(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """`output_artifacts` gives a field a type that cannot be written, or a `wav` no sample rate.

        output_artifacts { speech { type = "wave" } }

    There are `wav` (with `sample_rate`), `npy`, `json` and `pickle`, or a `writer` of your own.
    """
    return said(artifact_type, recipe, world)


@needs_whole_file
@explained("ESP0524", "a metric that cannot be used")
def metric_call(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A metric cannot be called with `data`, `test_name` and `output_dir`, gives no dict, or nothing says what it reads.

        class Distance(BaseMetric):
            def __call__(self, data, test_name):
                return 0.5

    `data` is a dict of a field's name and its file. Return a dict of numbers: `{"distance": 0.5}`. Which fields a metric reads
    is said by its attributes that end in `_key`, or by `inputs` beside it in the recipe.
    """
    return said(metric_call, recipe, world)


FLOW_RULES = (
    sample_key, sample_kind, item_is_dict, missing_item_key, called_with, shape_key, batch_lacks, batch_surplus,
    forward_result, input_key, model_input, output_fn_call, output_fn_reads, output_fn_result, output_without_id,
    output_keys, output_artifacts, metric_field, unknown_test_set, lengths_taken, logged_metric, artifact_type,
    metric_call,
)  # fmt: skip
