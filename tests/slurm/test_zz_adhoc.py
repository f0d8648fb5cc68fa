import os, time, signal
import pytest
from slurm.test_shard_faults import works, own_cluster
from slurm.conftest import cluster, _clean_cluster
pytestmark = pytest.mark.slurm
def test_grace(works, cluster):
    cluster.set_grace(20)
    work = works(partition="preempt")
    work.hold(5, 20)
    process = work.start()
    held = work.held(5); work.held(20)
    since = time.time()
    cluster.run("sbatch", "--output=/dev/null", "--exclusive", f"--nodelist={held.node}", "--wrap=sleep 600")
    print(work.event("stopping", since)["time"]-since)
    work.release(5, 20)
    work.finish(process)
    print(work.calls(), work.events("died", "again", "left", "stopping"))
    print(work.log())
def test_timeout(works, cluster):
    work = works(time=1, signal_delay_s=20, attempts=2)
    work.hold(5)
    process = work.start()
    held = work.held(5)
    since = time.time()
    process.wait(300)
    print(time.time()-since, work.calls(), work.events("died", "again", "left", "stopping","gave_up"))
    print(work.log())
