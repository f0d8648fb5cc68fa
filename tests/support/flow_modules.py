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
