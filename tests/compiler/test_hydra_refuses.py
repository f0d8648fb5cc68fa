"""What the compiler says that Hydra refuses, the installed Hydra refuses."""

from __future__ import annotations

import pytest

from esp3c.schema.safety import REFUSED_BY_HYDRA


@pytest.mark.parametrize("target", sorted(REFUSED_BY_HYDRA))
def test_hydra_refuses(target: str) -> None:
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    with pytest.raises(InstantiationException, match="blocklisted"):
        instantiate({"_target_": target, "_args_": []})
