"""What a training has in the end, and all that a training that was disturbed must have in the end, too."""

from pathlib import Path
from typing import Any

import torch


def final_state(exp_dir: Path) -> dict[str, Any]:
    checkpoint = torch.load(exp_dir / "last.ckpt", weights_only=True)
    rows = checkpoint["callbacks"]["EpochHistory"]["rows"]
    return {
        "weights": checkpoint["state_dict"],
        "optimizer": checkpoint["optimizer_states"],
        "schedulers": checkpoint["lr_schedulers"],
        "rows": [{key: value for key, value in row.items() if key != "seconds"} for row in rows],
        "steps": checkpoint["global_step"],
        "best": sorted(path.name for path in exp_dir.glob("epoch*.ckpt")),
    }
