"""Shapes are followed through a training without numbers: what fits, what does not, and what cannot be known."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from espnet3.shapes.items import Field, Making, SampleItems, Unmakeable, texts_for
from espnet3.shapes.report import Report, report_on
from espnet3.shapes.values import NotComputable, Shapes

_NAMES = (f"tried_{number}" for number in itertools.count())

SPEECH = {"utt_id": "str", "speech": "float32[time]", "text": "str"}
FEATS = {"utt_id": "str", "feats": "float32[time,80]", "labels": "int64[length]"}

# A model of each kind that speech people train. {n} is what the tests get wrong.
LSTM = """
class Model(nn.Module):
    def __init__(self, n_mels, hidden=64):
        super().__init__()
        self.lstm = nn.LSTM(n_mels, hidden, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear({head}, 20)
        self.ctc = nn.CTCLoss(zero_infinity=True)

    def forward(self, feats, feats_lengths, labels, labels_lengths, **batch):
        packed = pack_padded_sequence(feats, feats_lengths.cpu(), batch_first=True, enforce_sorted=False)
        hidden, lengths = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        scores = self.head(hidden).log_softmax(-1).transpose(0, 1)
        loss = self.ctc(scores, labels, lengths, labels_lengths)
        return loss, {{"loss": loss.detach()}}, len(feats)
"""
TRANSFORMER = """
class Model(nn.Module):
    def __init__(self, n_mels, hidden=64):
        super().__init__()
        self.front = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU())
        self.reduce = nn.Linear(8 * (((n_mels - 1) // 2 - 1) // 2), {head})
        layer = nn.TransformerEncoderLayer(hidden, 4, 128, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.embed = nn.Embedding(20, hidden)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(hidden, 4, 128, batch_first=True), 1)
        self.head = nn.Linear(hidden, 20)
        self.register_buffer("positions", torch.randn(1, 5000, hidden))

    def forward(self, feats, feats_lengths, labels, labels_lengths, **batch):
        hidden = self.front(feats[:, None]).transpose(1, 2).flatten(2)
        hidden = self.reduce(hidden)
        hidden = hidden + self.positions[:, : hidden.size(1)]
        lengths = ((feats_lengths - 1) // 2 - 1) // 2
        mask = torch.arange(hidden.size(1), device=hidden.device)[None] >= lengths.to(hidden.device)[:, None]
        memory = self.encoder(hidden, src_key_padding_mask=mask)
        assert int(lengths.max()) == memory.size(1)
        causal = nn.Transformer.generate_square_subsequent_mask(labels.size(1), device=hidden.device)
        out = self.head(self.decoder(self.embed(labels.clamp(min=0)), memory, tgt_mask=causal))
        loss = nn.functional.cross_entropy(out.transpose(1, 2), labels, ignore_index=-1)
        if not torch.isfinite(loss):
            raise ValueError("the loss is not finite")
        return {{"loss": loss, "accuracy": (out.argmax(-1) == labels).float().mean().item()}}
"""
CONVOLUTIONS = """
class Model(nn.Module):
    def __init__(self, n_mels, hidden=64):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(n_mels, hidden, 5, padding=2), nn.BatchNorm1d({head}), nn.GELU(),
            nn.utils.parametrizations.weight_norm(nn.Conv1d(hidden, hidden, 3, groups=4)), nn.GroupNorm(8, hidden),
        )
        self.drops = [float(each) for each in torch.linspace(0, 0.2, 4)]
        self.head = nn.LazyLinear(20)

    def forward(self, feats, labels, **batch):
        hidden = self.body(feats.transpose(1, 2))
        pooled = torch.cat([hidden.mean(-1), hidden.std(-1)], -1)
        if torch.rand(1).item() < self.drops[-1]:
            pooled = pooled * 0
        return nn.functional.cross_entropy(self.head(pooled), labels[:, 0])
"""
IMPORTS = """
import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
"""


def sample(fields: dict[str, str]) -> list[dict[str, Any]]:
    made = []
    for name, kind in fields.items():
        dtype, _, dims = kind.rstrip("?").rstrip("]").partition("[")
        sizes = [int(dim) if dim.isdigit() else dim for dim in dims.split(",") if dim]
        made.append({"name": name, "dtype": dtype, "dims": sizes, "optional": kind.endswith("?")})
    return made


Try = Callable[..., Report]


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Try]:
    """Writes a recipe's Python and training config, and tries it."""
    name = next(_NAMES)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(
        python: str,
        model: str = "n_mels: 80",
        fields: dict[str, str] | None = None,
        dataset: str = "",
        loader: str = "{collate_fn: {_target_: espnet3.components.data.collate.CommonCollateFn}, train: {batch_size: 8}}",
        further: str = "",
    ) -> Report:
        (tmp_path / f"{name}.py").write_text(IMPORTS + textwrap.dedent(python), encoding="utf-8")
        path = tmp_path / "training.yaml"
        path.write_text(
            f"exp_tag: t\nmodel: {{_target_: {name}.Model, {model}}}\n"
            f"dataset:\n  train: [{{data_src: somewhere.absent}}]\n{textwrap.indent(textwrap.dedent(dataset), '  ')}\n"
            f"dataloader: {loader}\n{further}\n".replace("MODULE", name),
            encoding="utf-8",
        )
        importlib.invalidate_caches()
        return report_on("training", str(path), [sample(fields or FEATS)], str(tmp_path))

    yield run
    sys.modules.pop(name, None)


# -- what fits, and what does not -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "head"), [(LSTM, 128), (TRANSFORMER, 64), (CONVOLUTIONS, 64)], ids=["lstm", "tr", "conv"]
)
def test_a_model_that_fits_is_followed_to_its_loss(tried: Try, model: str, head: int) -> None:
    report = tried(model.format(head=head))

    assert (report.status, report.message) == ("ok", "")
    assert report.trace[0] == "an item: utt_id str, feats float32[101, 80], labels int64[11]"
    assert report.trace[-1].startswith("Model.forward → loss float32[]")


@pytest.mark.parametrize(
    ("model", "head"), [(LSTM, 64), (TRANSFORMER, 32), (CONVOLUTIONS, 32)], ids=["lstm", "tr", "conv"]
)
def test_a_hidden_size_that_does_not_fit_is_told(tried: Try, model: str, head: int) -> None:
    report = tried(model.format(head=head))

    assert (report.status, report.stage, report.key) == ("failed", "forward", "model")
    assert set(report.sizes) == ({64, 128} if model is LSTM else {32, 64})
    assert report.function == "Model.forward"


@pytest.mark.parametrize(
    ("model", "head"), [(LSTM, 128), (TRANSFORMER, 64), (CONVOLUTIONS, 64)], ids=["lstm", "tr", "conv"]
)
def test_another_number_of_mel_bands_is_told(tried: Try, model: str, head: int) -> None:
    report = tried(model.format(head=head), "n_mels: 40")

    assert (report.status, report.stage) == ("failed", "forward")
    assert len(report.sizes) == 2
    if model is not TRANSFORMER:
        assert set(report.sizes) == {40, 80}
    assert "was given " in report.trace[-1]


@pytest.mark.parametrize(("size", "status"), [(80, "ok"), (81, "failed")])
def test_both_turns_of_a_gan_are_followed(tried: Try, size: int, status: str) -> None:
    python = f"""
    from espnet3.systems.tts.gan_model import AbsGANModel

    class Model(AbsGANModel):
        def __init__(self, n_mels):
            super().__init__()
            self.generator = nn.Linear(n_mels, n_mels)
            self.discriminator = nn.Linear({size}, 1)

        def forward(self, forward_generator=True, *, feats, **batch):
            made = self.generator(feats)
            loss = (made - feats).abs().mean() if forward_generator else self.discriminator(made.detach()).mean()
            return {{"loss": loss, "stats": {{}}, "weight": len(feats), "optim_idx": 0 if forward_generator else 1}}
    """
    adam = "{optimizer: {_target_: torch.optim.Adam}}"

    report = tried(python, further=f"optimizers: {{generator: {adam}, discriminator: {adam}}}")

    assert report.status == status
    assert set(report.sizes) == (set() if status == "ok" else {80, 81})
    if status == "ok":
        assert "stats generator_loss, discriminator_loss" in report.trace[-1]


def test_the_message_is_the_one_that_a_training_ends_with(tried: Try) -> None:
    one_layer = LSTM.replace("2, batch_first=True, bidirectional=True", "1, batch_first=True")
    report = tried(one_layer.format(head=100))

    assert report.message == "RuntimeError: mat1 and mat2 shapes cannot be multiplied (202x64 and 100x20)"
    assert report.trace[-1] == (
        "`head`, Linear(in_features=100, out_features=20, bias=True), was given float32[2, 101, 64]"
    )


def test_numbers_of_another_type_are_told_unless_they_are_cast(tried: Try) -> None:
    python = """
    class Model(nn.Module):
        def __init__(self, n_mels):
            super().__init__()
            self.head = nn.Linear(n_mels, 1)

        def forward(self, feats, **batch):
            return self.head(feats).mean()
    """
    wide = {"feats": "float64[time,80]"}

    report = tried(python, fields=wide)
    cast = tried(python, fields=wide, further="trainer: {precision: bf16-mixed}")

    assert report.status == "failed"
    assert "float64" in report.message and "float32" in report.message
    assert cast.status == "ok"


@pytest.mark.parametrize(
    ("forward", "part"),
    [
        ("def forward(self, feats, **batch): return self.head(feats)", "a tensor of shape"),
        ("def forward(self, feats, **batch): return {'total': self.head(feats).mean()}", "without the key 'loss'"),
        ("def forward(self, feats, **batch): return self.head(feats).mean(), 3", "a tuple of Tensor, int"),
        ("def forward(self, feats): return self.head(feats).mean()", "does not fit"),
        ("def forward(self, feats, speech, **batch): return self.head(feats).mean()", "does not fit"),
        ("def forward(self, feats, **batch): return self.haed(feats).mean()", "no attribute 'haed'"),
        ("def forward(self, feats, **batch): b, c, t, f = feats.shape", "not enough values to unpack"),
        ("def forward(self, feats, **batch): return self.head(feats[:, :, :, None])", "cannot be multiplied"),
        ("def forward(self, feats, **batch): return (feats + feats.new_zeros(81)).mean()", "broadcast"),
        ("def forward(self, feats, **batch): return feats.mean(3)", "Dimension out of range"),
        ("def forward(self, feats, **batch): return (feats[:, ::2] + feats[:, 1:]).mean()", "broadcast"),
    ],
)  # fmt: skip
def test_what_forward_gets_wrong_is_told(tried: Try, forward: str, part: str) -> None:
    report = tried(
        f"""
    class Model(nn.Module):
        def __init__(self, n_mels):
            super().__init__()
            self.head = nn.Linear(n_mels, 2)

        {forward}
    """
    )

    assert (report.status, report.stage) == ("failed", "forward"), report
    assert part in report.message


@pytest.mark.parametrize(
    ("init", "part"),
    [
        ("raise ValueError('n_mels must be odd')", "ValueError: n_mels must be odd"),
        ("self.head = nn.Linear(self.size, 2)", "AttributeError"),
        ("self.attention = nn.MultiheadAttention(n_mels, 7)", "embed_dim must be divisible by num_heads"),
        ("self.mixed = torch.zeros(3, n_mels) @ torch.zeros(3, 4)", "cannot be multiplied"),
    ],
)  # fmt: skip
def test_a_constructor_that_raises_is_told(tried: Try, init: str, part: str) -> None:
    report = tried(
        f"""
    class Model(nn.Module):
        def __init__(self, n_mels):
            super().__init__()
            {init}
    """
    )

    assert (report.status, report.stage) == ("failed", "build model"), report
    assert part in report.message
    assert report.key.startswith("model")


def test_the_part_of_the_model_that_does_not_fit_is_named(tried: Try) -> None:
    report = tried(
        """
    class Encoder(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.head = nn.Linear(size, 4)

        def forward(self, feats):
            return self.head(feats)

    class Model(nn.Module):
        def __init__(self, encoder):
            super().__init__()
            self.encoder = encoder

        def forward(self, feats, **batch):
            return self.encoder(feats).mean()
    """,
        "encoder: {_target_: MODULE.Encoder, size: 81}",
    )

    assert (report.status, report.key) == ("failed", "model.encoder")


# -- what cannot be known is no error ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forward", "status", "part"),
    [
        # A window of one length, a name for a size that is fixed, and a length that real items may have.
        ("return nn.functional.linear(wave, wave.new_zeros(3, 16_000)).mean()", "ok", ""),
        ("return nn.functional.linear(wave[:, :9_000], wave.new_zeros(3, 9_000)).mean()", "ok", ""),
        ("return wave.view(2, -1, 4).mean()", "skipped", "the sizes are made up"),
        ("return wave.unfold(1, 30_000, 2).mean()", "ok", ""),
        # Values.
        ("assert len(wave) > 7; return wave.mean()", "skipped", "the values are made up"),
        ("if wave.mean() > 0: return wave.mean()\n            raise ValueError('negative')", "ok", ""),
        ("if wave.mean() > 0: pass\n            return wave @ wave", "skipped", "reads a value at"),
        ("return torch.tensor(wave.numpy()).mean()", "skipped", "numpy"),
        ("return wave[wave > 0].mean()", "ok", ""),
        # Machines.
        ("return wave.cuda().mean()", "skipped", "CUDA"),
        ("raise NotImplementedError('only for inference')", "skipped", "only for inference"),
    ],
)  # fmt: skip
def test_what_hangs_on_something_made_up_is_not_called_wrong(tried: Try, forward: str, status: str, part: str) -> None:
    report = tried(
        f"""
    class Model(nn.Module):
        def __init__(self, n_mels):
            super().__init__()

        def forward(self, wave, **batch):
            {forward}
    """,
        fields={"wave": "float32[time]"},
    )

    assert report.status == status, report
    assert part in report.message


def test_a_size_that_is_only_named_is_found(tried: Try) -> None:
    report = tried(LSTM.format(head=128), fields={**FEATS, "feats": "float32[time,bands]"})

    assert (report.status, dict(report.taking or {})) == ("ok", {"bands": 80})


def test_items_that_only_go_together_if_they_are_equally_long(tried: Try) -> None:
    python = """
    class Model(nn.Module):
        def __init__(self, n_mels):
            super().__init__()

        def forward(self, feats, **batch):
            return feats.mean()
    """

    report = tried(python, loader="{train: {batch_size: 4}}")
    alone = tried(python, loader="{train: {batch_size: 1}}")

    assert (report.status, report.stage) == ("skipped", "collate")
    assert "a batch goes through only where all items have one length" in report.message
    assert alone.status == "ok"
    assert "feats float32[1, 101, 80]" in alone.trace[-2]


@pytest.mark.parametrize(
    ("init", "part"),
    [
        ("open('weights.pt')", "FileNotFoundError"),
        ("import flash_attention_of_nowhere", "ModuleNotFoundError"),
        ("self.head = nn.Linear(3, 3).to('cuda')", "CUDA"),
        ("assert torch.isfinite(nn.Linear(3, 3).weight).all() and self.size", "reads a value"),
    ],
)  # fmt: skip
def test_a_model_that_needs_more_than_shapes_is_not_called_wrong(tried: Try, init: str, part: str) -> None:
    report = tried(
        f"class Model(nn.Module):\n    def __init__(self, n_mels):\n        super().__init__()\n        {init}\n"
    )

    assert (report.status, report.stage) == ("skipped", "build model"), report
    assert part in report.message


# -- items ----------------------------------------------------------------------------------------------------------------

TEXT_MODEL = """
class Tokens:
    def __init__(self, **settings):
        self.letters = settings.get("letters", "")
        self.words = settings.get("notes", "").split()
        if "file" in settings:
            open(settings["file"])

    def __call__(self, item):
        parts, known = (item["text"].split(), self.words) if self.words else (item["text"], self.letters)
        return {**item, "text": np.array([known.index(each) for each in parts], dtype=np.int64)}

class Model(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.embed = nn.Embedding(size, 4)

    def forward(self, speech, speech_lengths, text, text_lengths):
        assert speech_lengths[0] > speech_lengths[1] and text_lengths[0] > text_lengths[1]
        return self.embed(text).mean() + speech.mean()
"""


@pytest.mark.parametrize("settings", ['letters: "abc "', "notes: low mid high", 'letters: "0123456789"'])
def test_texts_are_made_of_what_the_preprocessor_knows(tried: Try, settings: str) -> None:
    report = tried(TEXT_MODEL, "size: 9", SPEECH, f"preprocessor: {{_target_: MODULE.Tokens, {settings}}}")

    assert report.status == "ok", report
    assert "Tokens → " in report.trace[1] and "text int64[" in report.trace[1]


def test_a_preprocessor_whose_file_is_not_there_yet_is_the_reason(tried: Try) -> None:
    report = tried(TEXT_MODEL, "size: 9", SPEECH, "preprocessor: {_target_: MODULE.Tokens, file: tokens.txt}")

    assert (report.status, report.stage) == ("skipped", "items")
    assert report.key == "dataset.preprocessor.file"
    assert "tokens.txt" in report.message


def test_values_are_not_checked(tried: Try) -> None:
    # The embedding is too small for the tokens: only real numbers show it.
    report = tried(TEXT_MODEL, "size: 1", SPEECH, 'preprocessor: {_target_: MODULE.Tokens, letters: "abc "}')

    assert report.status == "ok"


def test_without_a_sample_nothing_is_tried(tried: Try, tmp_path: Path) -> None:
    tried(CONVOLUTIONS.format(head=64))

    report = report_on("training", str(tmp_path / "training.yaml"), [None], str(tmp_path))

    assert (report.status, report.message) == ("skipped", "no dataset of `dataset.train` declares a `sample`")


def test_items_have_what_is_declared() -> None:
    fields = [Field("speech", "float32", ("time",)), Field("feats", "float16", ("frames", 80)), Field("n", "int"),
              Field("pair", "int32", ("frames", 2)), Field("half", "bfloat16", (3,)), Field("utt_id", "str")]  # fmt: skip

    long, short = SampleItems([fields, fields], Making())

    assert long["feats"].shape[1] == 80 and long["feats"].dtype == "float16"
    assert long["feats"].shape[0] == long["pair"].shape[0] > short["feats"].shape[0] == short["pair"].shape[0]
    assert len(long["speech"]) > len(short["speech"]) > 10_000
    assert long["half"].dtype is torch.bfloat16
    assert (long["n"], long["utt_id"], short["utt_id"]) == (1, "item0", "item1")
    with pytest.raises(Unmakeable, match="`x` has the type `wav`"):
        SampleItems([[Field("x", "wav", ("time",))]], Making())


def test_a_path_is_no_vocabulary() -> None:
    assert next(texts_for({"_target_": "src.text.Tokens", "model": "data/tokens.model"}))[:3] == ("h", "e", "l")


# -- values ---------------------------------------------------------------------------------------------------------------


def test_what_is_computed_from_lengths_is_known_and_the_rest_is_not() -> None:
    shapes = Shapes()
    with shapes.building():
        model = nn.Linear(4, 4)
        model.register_buffer("table", torch.arange(5))
    with shapes.running():
        speech, lengths = shapes.unknown((torch.zeros(2, 9, 4), torch.tensor([9, 5])))
        hidden = model(speech)
        mask = torch.arange(hidden.size(1), device=hidden.device)[None] < lengths.to(hidden.device)[:, None]
        kept = hidden[mask]
        out = torch.zeros(2, 3, dtype=torch.int64)
        out[0, :2] = hidden.argmax(-1)[0, :2]
        longest, table = int(lengths.max()), model.table.tolist()
        assert shapes.guessed is None
        assert int(out.sum()) == 1
    assert model.weight.is_meta and hidden.is_meta
    assert (kept.shape, longest, table) == ((14, 4), 9, [0, 1, 2, 3, 4])
    assert shapes.guessed is not None and shapes.guessed[0] == __file__


def test_one_weight_under_two_names_stays_one() -> None:
    shapes = Shapes()
    with shapes.building():
        first, second, shared = nn.Module(), nn.Module(), nn.Parameter(torch.zeros(3))
        first.weight = shared
        second.weight = shared

    assert first.weight is second.weight


def test_ten_billion_weights_cost_no_memory() -> None:
    shapes = Shapes()
    began = time.perf_counter()
    with shapes.building():
        model = nn.Sequential(*(nn.Linear(100_000, 100_000) for _ in range(2)))
    with shapes.running():
        out = model(shapes.unknown(torch.zeros(2, 100_000)))

    assert sum(each.numel() for each in model.parameters()) > 2 * 10**10
    assert tuple(out.shape) == (2, 100_000)
    assert time.perf_counter() - began < 30


def test_what_only_numbers_can_tell_is_refused_in_words() -> None:
    shapes = Shapes()
    with shapes.running(), pytest.raises(NotComputable, match="only tells when it computes"):
        torch.unique(torch.empty(2**25, device="meta"))


# -- the process ----------------------------------------------------------------------------------------------------------


def _request(folder: Path, python: str, model: str = "n_mels: 80") -> dict[str, Any]:
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    (folder / "own.py").write_text(IMPORTS + textwrap.dedent(python), encoding="utf-8")
    (scratch / "training.yaml").write_text(
        f"model: {{_target_: own.Model, {model}}}\ndataset: {{train: [{{data_src: absent}}]}}\n"
        "dataloader: {collate_fn: {_target_: espnet3.components.data.collate.CommonCollateFn}}\n",
        encoding="utf-8",
    )
    request = {
        "recipe_dir": str(folder),
        "paths": [str(scratch)],
        "targets": ["own.Model", "espnet3.components.data.collate.CommonCollateFn", "absent"],
        "scratch": str(scratch),
        "configs": [{"name": "training", "path": str(scratch / "training.yaml"), "samples": [sample(FEATS)]}],
    }
    (scratch / "request.json").write_text(json.dumps(request), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "espnet3.shapes", str(scratch / "request.json")],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr
    (report,) = json.loads(done.stdout)["reports"]
    assert isinstance(report, dict)
    return report


def test_the_process_answers_with_one_document_whatever_the_recipe_prints(tmp_path: Path) -> None:
    # Lightning has no part in it: importing it would take as long as all the rest.
    alone = "import sys\nassert 'lightning' not in sys.modules\n"
    report = _request(tmp_path, "print('hello')\n" + alone + LSTM.format(head=128))

    assert report["status"] == "ok", report
    assert not list(tmp_path.rglob("*.pyc"))


@pytest.mark.parametrize(
    ("act", "part"),
    [
        ("open('weights.bin', 'wb')", "it writes weights.bin"),
        ("__import__('os').makedirs('cache')", "it changes cache"),
        ("__import__('socket').create_connection(('127.0.0.1', 9))", "it uses the network"),
        ("__import__('subprocess').run(['true'])", "it starts another process"),
        ("self.table = np.zeros((200_000, 200_000)) + 1", "MemoryError"),
    ],
)  # fmt: skip
def test_the_process_leaves_nothing_behind(tmp_path: Path, act: str, part: str) -> None:
    report = _request(
        tmp_path,
        f"class Model(nn.Module):\n    def __init__(self, n_mels):\n        super().__init__()\n        {act}\n",
    )

    assert report["status"] == "skipped", report
    assert part in report["message"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["own.py", "scratch"]
