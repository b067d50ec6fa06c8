"""The export, over the small project: one vector an id, that of the release's towers, by any engine, from any point."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from small_project import ITEMS, USERS, built_project, cli, predict_of

from unified_ranker.core.errors import UserError
from unified_ranker.core.progress import listening
from unified_ranker.core.request import Request, to_arrays
from unified_ranker.engines.by_name import EngineChoice
from unified_ranker.engines.shards import DiskShards
from unified_ranker.prepare.log_history import LogHistory
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.project.release_project import open_project
from unified_ranker.release.items import read_items
from unified_ranker.store import GuardError, open_store
from unified_ranker.store.delta import DeltaCopy
from unified_ranker.vectors.embedding_source import open_source
from unified_ranker.vectors.export_job import embedding_job
from unified_ranker.vectors.vector_export import ExportOptions, export_embeddings
from unified_ranker.vectors.verify_store import verify_store

pytestmark = pytest.mark.xdist_group("small_project")
DIM = 8


@pytest.fixture
def release(tmp_path):
    return built_project().copy(tmp_path) / "releases" / "1"


@pytest.fixture
def project(release):
    return open_project(release, None)


@pytest.fixture
def with_copy(release):
    """The project whose export/embeddings.yaml asks for a Delta Lake copy since the release was made."""
    declare(release, store={"offline": "vectors.delta"})
    return open_project(release, None)


def declare(release, **changes):
    """Change export/embeddings.yaml of a release's project."""
    file = release.parent.parent / "export" / "embeddings.yaml"
    declared = yaml.safe_load(file.read_text()) if file.exists() else {}
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump((declared or {}) | changes))


def end_of(project):
    return project.embedded.manifest.data.window.end + 1


def export(project, *arguments):
    return export_embeddings(project.export_input(), *arguments)


def options(project, engine="in-process", **more):
    return ExportOptions(**{"as_of": end_of(project), "engine": EngineChoice(engine, 1), **more})


def entries(store, version, kind):
    parts = store.backend.scan(version, kind, 100)
    return {name: record for part in parts for name, record in zip(*part, strict=True)}


def test_every_id_has_exactly_one_vector_and_it_is_that_of_the_release(project):
    with open_store(project.place(None)) as store:
        done = export(project, store, options(project))
        ids, vectors = read_items(project.embedded.directory / "items")
        batch = store.get_many("item", list(ids))
        np.testing.assert_allclose(batch.vectors, vectors[:, :DIM], atol=1e-6)
        assert store.backend.count(done.version, "item") == len(ids) == ITEMS
        assert store.backend.count(done.version, "user") == USERS
        assert set(batch.time) == {end_of(project)}
        assert set(batch.release) == {1}
        assert all(check.passed for check in done.manifest.checks)
        assert verify_store(store, ("item", "i3"))[-1].startswith("commit: ")


def test_users_are_embedded_from_what_they_did_before_the_moment(project):
    prepared = Prepared.load(project.prepared().directory)
    log, moment = LogHistory(prepared), int(np.median(prepared.events.timestamp))
    with open_store(project.place(None)) as store:
        export(project, store, options(project, as_of=moment))
        asked = [
            Request(user, "home_feed", timestamp=moment, history=log.before(user, moment)) for user in prepared.user_ids
        ]
        right = predict_of(project.embedded.directory)("encode", to_arrays(asked, 8))["query_vector"][:, :DIM]
        batch = store.get_many("user", list(prepared.user_ids))
    np.testing.assert_allclose(batch.vectors, right, atol=1e-5)
    assert batch.cold.tolist() == [len(request.history) == 0 for request in asked]
    later = log.before("u1", 0)
    assert later.timestamp.max() > moment, "what came after the moment is in the log, and did not count"


def test_frequent_queries_are_embedded_like_searches_of_nobody(project):
    with open_store(project.place(None)) as store:
        export(project, store, options(project))
        entry = store.get("query", "amber comedy [uncut]")
        asked = [Request("", "search", query="amber comedy [uncut]", timestamp=end_of(project))]
        right = predict_of(project.embedded.directory)("encode", to_arrays(asked, 1))["query_vector"][0, :DIM]
        np.testing.assert_allclose(entry.vector, right, atol=1e-5)


@pytest.mark.parametrize("engine", ["beam", "dask"])
def test_engines_give_the_same_bytes(project, tmp_path, engine):
    made = []
    for name in ("in-process", engine):
        with open_store(tmp_path / name) as store:
            done = export(project, store, options(project, name))
            made.append([entries(store, done.version, kind) for kind in ("item", "user", "query")])
    assert made[0] == made[1]


def test_an_interrupted_export_goes_on_from_its_shards(project):
    source = open_source(
        project.embedded.directory, project.prepared().folder, project.embedded.config, end_of(project)
    )
    job = embedding_job(source, project.prepared().key)
    shards = DiskShards(project.workspace.work / "embeddings" / job.key)
    stage = job.stage("items")
    shards.write("items", 0, stage.run(0, shards), {})
    made = shards.directory("items", 0).stat().st_mtime_ns
    seen = []

    def interrupt(progress):
        if progress.work == "write":
            seen.append(shards.directory("items", 0).stat().st_mtime_ns)
            raise KeyboardInterrupt

    with open_store(project.place(None)) as store:
        with pytest.raises(KeyboardInterrupt), listening(interrupt):
            export(project, store, options(project))
        assert seen == [made], "the shard that was there was not made again"
        assert shards.has("users", 0)
        export(project, store, options(project))
        assert store.get("user", "u1") is not None
    assert not shards.root.exists()


def test_an_export_of_the_same_is_up_to_date_and_one_of_another_moment_is_not(with_copy):
    with open_store(with_copy.place(None)) as store:
        first = export(with_copy, store, options(with_copy))
        again = export(with_copy, store, options(with_copy))
        later = export(with_copy, store, options(with_copy, as_of=end_of(with_copy) + 3600))
        assert (again.version, again.skipped) == (first.version, True)
        assert (later.skipped, store.version) == (False, later.version)
        assert DeltaCopy(later.offline).versions().keys() == {first.version, later.version}


def test_the_offline_copy_travels_in_time(with_copy):
    with open_store(with_copy.place(None)) as store:
        first = export(with_copy, store, options(with_copy))
        second = export_embeddings(
            with_copy.export_input(), store, options(with_copy, as_of=end_of(with_copy) + 86_400)
        )
        copy = DeltaCopy(second.offline)
        for version in (first.version, second.version):
            table = copy.read(version).to_pandas().set_index(["kind", "id"])
            assert len(table) == len(table.index.unique())
            with open_store(with_copy.place(None), version) as pinned:
                for kind, name in (("item", "i5"), ("user", "u7")):
                    np.testing.assert_array_equal(table.loc[kind, name]["vector"], pinned.get(kind, name).vector)
            stamp = table.loc["user", "u7"]["time"]
            assert stamp == pd.Timestamp(pinned.get("user", "u7").time, unit="s", tz="UTC")
        assert copy.read().to_pandas()["version"].unique().tolist() == [second.version]
        with pytest.raises(UserError, match=r"has no copy of version 9. There: \[1, 2\]"):
            copy.read(9)


def test_a_copy_that_failed_is_made_by_the_same_command(with_copy, monkeypatch):
    with open_store(with_copy.place(None)) as store:
        with monkeypatch.context() as patched:
            patched.setattr(DeltaCopy, "write", lambda *_: (_ for _ in ()).throw(UserError("no room")))
            with pytest.raises(UserError, match="no room"):
                export(with_copy, store, options(with_copy))
        assert store.version == 1
        done = export(with_copy, store, options(with_copy))
        assert (done.version, done.skipped) == (1, True)
        assert DeltaCopy(done.offline).versions().keys() == {1}


def test_the_default_needs_no_optional_package(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with open_store(project.place(None)) as store:
        assert export(project, store, options(project)).offline is None
        assert store.get("item", "i3") is not None


def test_a_copy_without_its_package_is_refused_before_the_work_with_both_ways_out(with_copy, monkeypatch):
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with open_store(with_copy.place(None)) as store:
        with pytest.raises(UserError, match=r"pip install 'deltalake.*, or leave `store\.offline` out"):
            export(with_copy, store, options(with_copy))
        assert store.versions() == []
    monkeypatch.undo()
    file = with_copy.workspace.project / "export" / "embeddings.yaml"
    file.write_text(file.read_text().replace("offline: vectors.delta", "offline: null"))
    opened = open_project(with_copy.embedded.directory, None)
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with open_store(opened.place(None)) as store:
        assert export(opened, store, options(opened)).offline is None


def test_a_change_of_export_embeddings_counts_for_a_release_that_exists(release):
    """Place, copy, queries and users are those that the project declares now, not those of the release's own time."""
    before = open_project(release, None)
    with open_store(before.place(None)) as store:
        export(before, store, options(before))
        assert store.backend.count(1, "query") > 2
    declare(release, store={"place": "elsewhere", "offline": "copy"}, queries={"most": 2})
    now = open_project(release, None)
    assert now.place(None) == str(now.workspace.project / "elsewhere")
    with open_store(now.place(None)) as store:
        done = export(now, store, options(now))
        assert store.backend.count(done.version, "query") == 2
    assert DeltaCopy(now.workspace.project / "copy").versions().keys() == {done.version}


def test_a_version_that_a_guard_stops_waits_and_is_published_by_naming_the_check(project):
    """Removing half of the users from the published version's successor is what `lost` is for."""
    with open_store(project.place(None)) as store:
        export(project, store, options(project))
        with store.backend.lock("refresher"):
            names = [f"gone-{n}" for n in range(30)]
            store.put_many("user", names, np.eye(DIM, dtype=np.float32)[np.arange(30) % DIM], 5)
        later = options(project, as_of=end_of(project) + 60)
        with pytest.raises(GuardError, match=r"FAIL lost \(user\): at most 5.0% .*: 30 of 90, e.g. gone-"):
            export(project, store, later)
        assert store.version == 1
        waiting = store.versions()[-1]
        assert (waiting.number, waiting.manifest.published_at) == (2, None)
        forced = options(project, as_of=end_of(project) + 60, force=("lost",))
        done = export(project, store, forced)
        assert (done.version, store.version) == (2, 2), "the version that waited, not another one"
        assert [(c.name, c.kind, c.count) for c in done.manifest.forced] == [("lost", "user", 30)]


def test_the_command_says_what_it_did_and_json_is_json(project):
    shown = cli("export-embeddings", project.embedded.directory, "--engine", "in-process")
    assert shown.exit_code == 0
    assert f"version 1: {ITEMS} item x {DIM}, {USERS} user x {DIM}" in shown.stdout
    assert "this version is the reference" in shown.stdout
    again = json.loads(cli("export-embeddings", project.embedded.directory, "--json").stdout)
    assert (again["version"], again["skipped"], again["kinds"]["item"]["count"]) == (1, True, ITEMS)
    later = cli("export-embeddings", project.embedded.directory, "--as-of", "2024-06-01")
    assert "mapped onto version 1" in later.stdout
    assert "100.0% of the ten nearest items are the same" in later.stdout
    wrong = cli("export-embeddings", project.embedded.directory, "--as-of", "yesterday-ish")
    assert (wrong.exit_code, "`--as-of` must be" in wrong.stderr) == (2, True)
    refused = cli("export-embeddings", project.embedded.directory, "--as-of", "now", "--force", "nieghbours")
    assert "Did you mean `neighbours`" in refused.stderr


def test_a_task_that_is_not_there_is_named_when_declarations_are_read(project):
    (project.workspace.project / "export" / "embeddings.yaml").write_text("users: {task: home_fed}\n")
    shown = cli("export-embeddings", project.embedded.directory)
    assert shown.exit_code == 2
    assert "`users.task`: names no task" in shown.stderr
    assert "Did you mean `home_feed`" in shown.stderr
