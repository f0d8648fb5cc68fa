"""Python that refuses some of its arguments, for fixtures."""

REFUSING = {
    "lightning.pytorch.callbacks.lr_monitor": (
        "from lightning.pytorch.callbacks.callback import Callback\nclass LearningRateMonitor(Callback): ...\n"
    ),
    "src.refusing": """
from torch.nn import Module

KINDS = {"gru": 1, "lstm": 2}


class Attention(Module):
    def __init__(self, width, heads):
        super().__init__()
        self.width = width // heads
        assert self.width * heads == width, "width is no multiple of heads"


class Net(Module):
    def __init__(self, width=64, heads=4, layers=2, dropout=0.1, kind="gru"):
        super().__init__()
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout is {dropout}")
        self.kind = kind
        self.check()
        self.blocks = [Attention(width, heads) for _ in range(layers)]

    def check(self):
        if self.kind not in KINDS:
            raise ValueError("no such kind")

    @classmethod
    def small(cls, heads=2):
        return cls(width=8, heads=heads)


class Steps:
    def __init__(self, optimizer, total=None, epochs=None, momentum=0.0, nesterov=False):
        if total is None and epochs is None:
            raise ValueError("give total or epochs")
        if nesterov and momentum <= 0:
            raise ValueError("nesterov needs a momentum")
""",
}
