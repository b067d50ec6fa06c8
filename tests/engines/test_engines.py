"""Every engine carries a job to the same bytes; what is interrupted or fails is whole or not there."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.core.progress import listening
from unified_ranker.engines.beam import Beam
from unified_ranker.engines.by_name import choose_engine
from unified_ranker.engines.dask import Dask
from unified_ranker.engines.in_process import InProcess
from unified_ranker.engines.job import Job, Stage, make_shard
from unified_ranker.engines.job_progress import run_job
from unified_ranker.engines.shards import DiskShards, MemoryShards

SHARDS = 6


@dataclass(frozen=True)
class Draw:
    """Numbers of a shard, dealt out by remainder; leaves a mark of its process where one is asked for."""

    marks: Path | None = None

    def __call__(self, shard, reader):
        if self.marks is not None:
            (self.marks / f"{shard}-{os.getpid()}").touch()
            # Until the test has seen who is at work.
            while not (self.marks / "go").exists() and not list(self.marks.glob("killed")):
                time.sleep(0.02)
        numbers = np.random.default_rng(shard).integers(0, 1000, 500)
        return {"numbers": [pa.table({"n": numbers[numbers % 3 == part]}) for part in range(3)]}


@dataclass(frozen=True)
class Total:
    """Sum and count of one remainder over all shards."""

    def __call__(self, shard, reader):
        numbers = reader.gather("draw", "numbers", shard)["n"].to_numpy()
        assert (numbers % 3 == shard).all()
        return {"total": [pa.table({"sum": [int(numbers.sum())], "count": [len(numbers)]})]}


@dataclass(frozen=True)
class Fail:
    """Fails in one shard, by a mistake of the user's."""

    switch: Path

    def __call__(self, shard, reader):
        if shard == 1 and not self.switch.exists():
            raise UserError("`shard` 1 is bad")
        return {"total": [pa.table({"n": [shard]})]}


@pytest.fixture(autouse=True)
def _workers_find_this_module(monkeypatch):
    """Worker processes import the stages from here."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)


def job(marks=None):
    return Job("test", (Stage("draw", SHARDS, Draw(marks)), Stage("total", 3, Total())))


def expected():
    numbers = np.concatenate([np.random.default_rng(shard).integers(0, 1000, 500) for shard in range(SHARDS)])
    return [(int(part.sum()), len(part)) for part in (numbers[numbers % 3 == r] for r in range(3))]


def totals(shards):
    rows = [shards.read("total", number, "total").to_pylist()[0] for number in range(3)]
    return [(row["sum"], row["count"]) for row in rows]


def files(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*.arrow"))}


def test_in_memory_and_on_disk_give_the_same(tmp_path):
    memory, disk = MemoryShards(), DiskShards(tmp_path)
    InProcess().run(job(), memory)
    InProcess().run(job(), disk)
    assert totals(memory) == totals(disk) == expected()


@pytest.mark.parametrize("engine", [Beam(), Beam(2), Dask(2)], ids=["beam", "beam-2", "dask"])
def test_every_engine_gives_the_same_bytes(engine, tmp_path):
    InProcess().run(job(), DiskShards(tmp_path / "plain"))
    engine.run(job(), DiskShards(tmp_path / "carried"))
    assert totals(DiskShards(tmp_path / "carried")) == expected()
    assert files(tmp_path / "carried") == files(tmp_path / "plain")


@pytest.mark.parametrize("engine", [InProcess(), Beam()], ids=["in-process", "beam"])
def test_a_failed_shard_says_so_and_the_next_run_goes_on(engine, tmp_path):
    switch, shards = tmp_path / "on", DiskShards(tmp_path / "shards")
    bad = Job("bad", (Stage("draw", SHARDS, Draw()), Stage("fail", 3, Fail(switch)), Stage("total", 3, Total())))
    with pytest.raises(UserError, match=r"^`shard` 1 is bad$"):
        engine.run(bad, shards)
    assert shards.has("fail", 0)
    assert not shards.has("fail", 1)
    assert not shards.has("total", 0), "nothing is made of what is not there"
    before = {p: p.stat().st_mtime_ns for p in shards.root.glob("draw/*/*.arrow")}
    switch.touch()
    engine.run(bad, shards)
    assert totals(shards) == expected()
    assert before == {p: p.stat().st_mtime_ns for p in shards.root.glob("draw/*/*.arrow")}, "finished shards stay"


def test_dask_makes_the_shards_of_a_killed_worker_again(tmp_path):
    """Two workers; the one that is at a shard dies by SIGKILL in the middle of it."""
    marks = tmp_path / "marks"
    marks.mkdir()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\nfrom test_engines import job\n"
        "from unified_ranker.engines.dask import Dask\nfrom unified_ranker.engines.shards import DiskShards\n"
        "if __name__ == '__main__':\n    Dask(2).run(job(Path(sys.argv[2])), DiskShards(Path(sys.argv[3])))\n"
    )
    script = tmp_path / "run.py"
    script.write_text(code, encoding="utf-8")
    here = str(Path(__file__).parent)
    process = subprocess.Popen([sys.executable, str(script), here, str(marks), str(tmp_path / "shards")])
    try:
        while len({p.name.split("-")[1] for p in marks.glob("*-*")}) < 2:
            assert process.poll() is None, "the job ended before both workers were at work"
            try:
                process.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                continue
        victim = int(next(iter(marks.glob("*-*"))).name.split("-")[1])
        os.kill(victim, signal.SIGKILL)
        (marks / "go").touch()
        assert process.wait(timeout=120) == 0
    finally:
        process.kill()
        process.wait()
    assert totals(DiskShards(tmp_path / "shards")) == expected()
    InProcess().run(job(), DiskShards(tmp_path / "plain"))
    assert files(tmp_path / "shards") == files(tmp_path / "plain")


def test_what_was_left_half_written_or_is_damaged_is_made_again(tmp_path):
    shards = DiskShards(tmp_path)
    InProcess().run(job(), shards)
    whole = files(tmp_path)
    (tmp_path / "draw" / ".00007-half").mkdir()
    (tmp_path / "draw" / "00002" / "shard.json").unlink()
    damaged = tmp_path / "total" / "00001" / "total.arrow"
    damaged.write_bytes(damaged.read_bytes()[:-40])
    assert shards.resume(job()) == SHARDS + 3 - 2
    assert not shards.has("draw", 2)
    assert not shards.has("total", 1)
    assert not list(tmp_path.rglob(".*"))
    InProcess().run(job(), shards)
    assert files(tmp_path) == whole


def test_a_damaged_shard_is_named_when_it_is_read(tmp_path):
    shards = DiskShards(tmp_path)
    InProcess().run(job(), shards)
    file = tmp_path / "draw" / "00000" / "numbers.arrow"
    file.write_bytes(b"ARROW1" + bytes(100))
    with pytest.raises(UserError, match=r"draw/00000/numbers.arrow` is damaged.*run again"):
        shards.read("draw", 0, "numbers")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bean", 10), "unknown engine `bean`.*Did you mean `beam`"),
        (("beam", 10, 0, "tcp://x:1"), "`--engine-address` is for `--engine dask`"),
        (("dask", 10, 0, None, ("--runner=FlinkRunner",)), "`--beam-option` is for `--engine beam`"),
    ],
)
def test_wrong_choices_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        choose_engine(*arguments)


def test_small_logs_stay_in_this_process_and_large_ones_go_to_beam():
    assert isinstance(choose_engine("auto", 1000), InProcess)
    assert isinstance(choose_engine("auto", 10_000_000), Beam)
    assert choose_engine("beam", 1000, 2).workers == 1
    assert choose_engine("beam", 10_000_000, 2).workers == 2


def test_a_scheduler_that_does_not_answer_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no dask scheduler answers at `tcp://127.0.0.1:9`"):
        Dask(address="tcp://127.0.0.1:9").run(job(), DiskShards(tmp_path))


def test_progress_counts_the_shards_of_all_stages_and_those_that_were_there(tmp_path):
    heard = []
    shards = DiskShards(tmp_path)
    made = job()
    make_shard(made, made.stages[0], 0, shards)
    with listening(lambda p: heard.append((p.work, p.done, p.total, p.ended))):
        run_job(InProcess(), made, shards, "prepare")
    total = SHARDS + 3
    assert heard[0] == ("prepare", 1, total, False)
    assert heard[-1] == ("prepare", total, total, True)
