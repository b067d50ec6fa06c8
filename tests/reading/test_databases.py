"""Tables from a database: a real PostgreSQL server answers, and no password is shown."""

import pyarrow as pa
import pytest
from postgres_process import BIN, PASSWORD, PostgresProcess
from small_project import declarations, write_project

from unified_ranker.config import TableSource
from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.project.workspace import Workspace
from unified_ranker.reading.raw import raw_table

pytestmark = [
    pytest.mark.skipif(BIN is None, reason="there is no PostgreSQL on this machine; apt install postgresql"),
    pytest.mark.xdist_group("postgres"),
]


@pytest.fixture(scope="module")
def server():
    process = PostgresProcess()
    process.execute(
        "CREATE TABLE clicks (visitor bigint, item uuid, price numeric(8, 2), at timestamptz, note text)",
        "INSERT INTO clicks VALUES (1, '12345678-1234-5678-1234-567812345678', 9.5, '2024-05-01 12:00+02', NULL), "
        "(2, '12345678-1234-5678-1234-567812345678', NULL, '2024-05-02', 'né')",
    )
    yield process
    process.kill()


@pytest.fixture
def secret(monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD.replace(" ", "%20"))


SQL = "SELECT visitor, item, at, note FROM clicks ORDER BY visitor"


def test_a_database_answers_with_its_types(server, secret, tmp_path):
    table = raw_table(TableSource(sql=SQL, database=server.address), tmp_path)
    assert table["visitor"].to_pylist() == [1, 2]
    assert table["note"].to_pylist() == [None, "né"]
    assert pa.types.is_timestamp(table["at"].type)
    assert [t.isoformat() for t in table["at"].cast(pa.timestamp("s", "UTC")).to_pylist()] == [
        "2024-05-01T10:00:00+00:00", "2024-05-02T00:00:00+00:00",
    ]  # fmt: skip


def test_the_tables_of_a_project_come_from_a_database_and_are_read_again_when_they_change(server, secret, tmp_path):
    files = declarations()
    data = {"type": "tables", "events": {"sql": SQL, "database": server.address}}
    data["columns"] = {
        "events": {"user_id": "visitor", "item_id": "item", "timestamp": "at", "query": "note",
                   "task": {"value": "search"}, "event_type": {"value": "click"}},
    }  # fmt: skip
    files["project.yaml"] |= {"data": data}
    project = write_project(tmp_path / "project", files=files)

    def opened(ask=True):
        return Workspace(project, load_config(project), ask)

    tables = opened().read_tables()
    assert tables.events["user_id"].to_pylist() == ["1", "2"]
    assert tables.items["item_id"].to_pylist() == ["12345678-1234-5678-1234-567812345678"]
    before = opened().data_checksum()
    assert opened().data_checksum() == before
    server.execute("INSERT INTO clicks VALUES (3, '00000000-0000-0000-0000-000000000001', 1, '2024-05-03', NULL)")
    assert opened(ask=False).data_checksum() == before, "the answer is kept"
    assert opened(ask=False).read_tables().events["user_id"].to_pylist() == ["1", "2"]
    assert opened().data_checksum() != before
    assert opened(ask=False).read_tables().events["user_id"].to_pylist() == ["1", "2", "3"]
    project_yaml = project / "project.yaml"
    project_yaml.write_text(project_yaml.read_text().replace("ORDER BY visitor", "WHERE visitor = 3"))
    assert opened(ask=False).read_tables().events["user_id"].to_pylist() == ["3"], "no answer to this query is kept"
    assert len(list((project / ".unified_ranker" / "answers").iterdir())) == 1
    server.execute("DELETE FROM clicks WHERE visitor = 3")


def test_errors_show_no_password(server, secret, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"did not answer `SELECT nope`") as error:
        raw_table(TableSource(sql="SELECT nope", database=server.address), tmp_path)
    assert PASSWORD not in str(error.value)
    monkeypatch.setenv("SHOP_PASSWORD", "wrong")
    with pytest.raises(UserError, match="did not answer") as error:
        raw_table(TableSource(sql=SQL, database=server.address), tmp_path)
    assert "wrong" not in str(error.value)
    monkeypatch.delenv("SHOP_PASSWORD")
    with pytest.raises(UserError, match="environment variable `SHOP_PASSWORD`"):
        raw_table(TableSource(sql=SQL, database=server.address), tmp_path)


def test_other_databases_are_named(tmp_path):
    with pytest.raises(UserError, match=r"must begin with `postgresql://`. Received: `snowflake:…`"):
        raw_table(TableSource(sql=SQL, database="snowflake://account/db"), tmp_path)
