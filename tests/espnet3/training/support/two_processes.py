"""Two processes of this machine that train together, or only talk to each other."""

import os
import socket

import torch


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def places() -> list[dict[str, str]]:
    """The variables by which two processes find each other over the loopback."""
    meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo"}
    return [{**meet, "NODE_RANK": "0", "LOCAL_RANK": str(rank)} for rank in range(2)]


def means_of_what_differs(process: dict[str, str], out: str) -> None:
    """Keep what a process gets for the means of numbers that the two of them name differently, and of none."""
    from datetime import timedelta

    from espnet3.components.modeling.epoch_means import EpochMeans

    os.environ.update(process)
    rank = int(process["LOCAL_RANK"])
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2, timeout=timedelta(seconds=20))

    def reduce(table: torch.Tensor) -> torch.Tensor:
        torch.distributed.all_reduce(table)
        return table

    differing, one_sided, none = EpochMeans(), EpochMeans(), EpochMeans()
    differing.add({"loss": torch.tensor(1.0 + rank)}, 1 + rank)
    differing.add({("noisy", "clean")[rank]: torch.tensor(5.0)}, 2)
    if rank == 0:
        one_sided.add({"loss": torch.tensor(3.0)}, 2)
    means = [means.compute(reduce) for means in (differing, one_sided, none)]
    torch.save([*means, one_sided.state_dict(reduce)], f"{out}/{rank}.pt")
    torch.distributed.destroy_process_group()
