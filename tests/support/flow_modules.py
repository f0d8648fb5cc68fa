"""The recipe's Python of the fixtures about the flow of the data: datasets, steps, models, outputs, metrics."""

from __future__ import annotations

FLOW = {
    "flow.data": """
import numpy as np
from torch.utils.data.dataset import Dataset

class Digits(Dataset):
    def __init__(self, split): ...
    def __len__(self): return 1
    def __getitem__(self, index):
        row = self._rows[index]
        return {"utt_id": row["utt_id"], "speech": load(row["wav"]), "text": row["text"]}

class Labelled(Digits):
    def __getitem__(self, index):
        return {**super().__getitem__(index), "speaker": 3}

class Numbered(Dataset):
    def __init__(self, split): ...
    def __len__(self): return 1
    def __getitem__(self, index):
        return {"utt_id": f"utt_{index}", "speech": "a path", "text": np.zeros(3)}

class Pairs(Dataset):
    def __init__(self, split): ...
    def __len__(self): return 1
    def __getitem__(self, index):
        return load(index), self._texts[index]
""",
    "flow.steps": """
import numpy as np

class Gain:
    def __init__(self, max_db): self.max_db = max_db
    def __call__(self, sample):
        return {**sample, "speech": sample["speech"] * self.max_db}

class LoudGain:
    def __init__(self, max_db): self.max_db = max_db
    def __call__(self, sample):
        return {**sample, "speech": sample["audio"] * self.max_db}

class Letters:
    def __init__(self, vocabulary): self.vocabulary = vocabulary
    def __call__(self, sample):
        numbers = [self.vocabulary.index(each) for each in sample["text"]]
        return {**sample, "text": np.array(numbers, dtype=np.int64)}

def louder(sample):
    return {**sample, "speech": sample["speech"] * 2.0}

def lower(sample):
    sample["text"] = sample["text"].lower()

def upper(sample):
    sample["text"] = sample["text"].upper()
    return sample

def gain(sample, max_db):
    return {**sample, "speech": sample["speech"] * max_db}

def pair(sample):
    return sample["speech"], sample["text"]

def together(batch):
    return {"speech": pad([each["speech"] for each in batch]), "text": pad([each["words"] for each in batch])}
""",
    "flow.model": """
from torch.nn import Module

class Recogniser(Module):
    def __init__(self): ...
    def forward(self, speech, speech_lengths, text, text_lengths):
        loss = self.ctc(speech)
        return loss, {"loss": loss.detach()}, len(speech)

class WordReader(Recogniser):
    def forward(self, speech, speech_lengths, tokens, tokens_lengths):
        return self.ctc(speech)

class SpeechOnly(Module):
    def __init__(self): ...
    def forward(self, speech, speech_lengths):
        return {"loss": self.ctc(speech)}

class TwoThings(Recogniser):
    def forward(self, speech, speech_lengths, text, text_lengths):
        loss = self.ctc(speech)
        return loss, {"loss": loss.detach()}
""",
    "flow.adapted": """
from torch.nn import Module

class Adapter(Module):
    def __init__(self, model: Module, rank: int = 4):
        super().__init__()
        self.model = model
        self.rank = rank
    def forward(self, **batch):
        return self.model(**batch)

class Parts(Module):
    def __init__(self, hidden=3):
        self.encoder, self.norm = Module(), Module()
        self.head: Module = Module()
    def forward(self, speech, speech_lengths, text, text_lengths):
        return self.head(speech)

class Nested(Module):
    def __init__(self, given=None):
        super().__init__()
        self.inner = Parts(hidden=4)
        self.given = given
        self.free = Parts()
        self.free.anything = Module()
    def forward(self, **batch):
        return self.inner(**batch)

class Open(Parts):
    def grow(self):
        self.add_module("later", Module())

class Changing(Module):
    def __init__(self, model: Module):
        self.model = model
    def forward(self, **batch):
        return self.model(tokens=batch["text"], **batch)

class Swapping(Module):
    def __init__(self, model: Module):
        self.model = model
    def swap(self, other):
        self.model = other
    def forward(self, **batch):
        return self.model(**batch)

def warm(model, passes=3):
    for _ in range(passes):
        model.reset()
    return model

def other(model):
    model = Adapter(model)
    return model

def counted(model: Module) -> int:
    return sum(each.numel() for each in model.parameters())

def written(model: Module) -> dict[str, int]:
    ...
""",
    "flow.gan": """
from espnet3.systems.tts.gan_model import AbsGANModel
from espnet3.systems.tts.system import TTSSystem

class Vocoder(AbsGANModel):
    def __init__(self):
        self.generator = self.made("generator")
        self.discriminator = self.made("discriminator")
    def forward(self, forward_generator, speech, speech_lengths, **batch):
        if forward_generator:
            loss, stats = self.mel(speech), {"mel_loss": self.mel(speech)}
        else:
            loss, stats = self.score(speech), {"real_loss": self.score(speech)}
        return {"loss": loss, "stats": stats, "weight": len(speech), "optim_idx": 0 if forward_generator else 1}

class TurnBlind(Vocoder):
    def forward(self, speech, speech_lengths, text_lengths=None):
        return {"loss": self.mel(speech), "stats": {}, "weight": len(speech), "optim_idx": 0}

class Nameless(Vocoder):
    def forward(self, forward_generator=True, *, speech, **batch):
        return {"loss": self.mel(speech), "stats": {}, "weight": len(speech)}

class Pair(Vocoder):
    def forward(self, forward_generator=True, *, speech, **batch):
        return self.mel(speech), self.score(speech)

class OwnTurns(TTSSystem):
    def _build_trainer(self, config, model): ...
""",
    "flow.inference": """
class Recognizer:
    def __init__(self): ...
    def __call__(self, speech): ...

class WaveRecognizer:
    def __init__(self): ...
    def __call__(self, wave): ...

class Translator:
    def __init__(self): ...
    def __call__(self, speech, language): ...

class Outputs:
    def __init__(self): ...
    def __call__(self, data, model_output, idx): ...

def build_output(data, model_output, idx):
    return {"utt_id": data["utt_id"], "hyp": model_output, "text": data["text"]}

def with_reference(data, model_output, idx):
    return {"utt_id": data["utt_id"], "hyp": model_output, "ref": data["text"]}

def from_transcript(data, model_output, idx):
    return {"utt_id": data["utt_id"], "hyp": model_output, "ref": data["transcript"]}

def nameless(data, model_output, idx):
    return {"id": data["utt_id"], "hyp": model_output, "ref": data["text"]}

def renamed(sample, hyp, idx):
    return {"utt_id": sample["utt_id"], "hyp": hyp}

def as_tuple(data, model_output, idx):
    return data["utt_id"], model_output

def as_text(data, model_output, idx):
    return f"{idx} {model_output}"
""",
    "flow.metrics": """
class Distance:
    def __init__(self, ref_key="ref", hyp_key="hyp"):
        self.ref_key = ref_key
        self.hyp_key = hyp_key
    def __call__(self, data, test_name, inference_dir): ...
""",
    "flow.measures": """
from espnet3.components.metrics.base_metric import BaseMetric

class TwoParameters(BaseMetric):
    def __init__(self, ref_key="ref"): self.ref_key = ref_key
    def __call__(self, data, test_name):
        return {"distance": 0.5}

class OneNumber(TwoParameters):
    def __call__(self, data, test_name, output_dir):
        return 0.5
""",
    "flow.counts": """
from espnet3.components.metrics.base_metric import BaseMetric

class Count(BaseMetric):
    def __init__(self, most=3): self.most = most
    def __call__(self, data, test_name, output_dir):
        return {"rows": len(list(self.iter_inputs(data, "ref", "hyp")))}
""",
    "espnet3.components.metrics.base_metric": """
from abc import ABC, abstractmethod

class BaseMetric(ABC):
    @abstractmethod
    def __call__(self, data, test_name, output_dir): ...
    def iter_inputs(self, data, *keys):
        return iter(data)
""",
}
