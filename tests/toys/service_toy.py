"""A release whose every answer a test can work out by hand, and a model for it in NumPy.

A request's query is its query vector, written "x,y,z". The ranker turns retrieval around: its score is minus the
retrieval score, so that an answer shows which candidates retrieval gave it. Head `like` is a tenth of the events
in the history.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import release_toy
from release_toy import EXACT

from unified_ranker.config import Config
from unified_ranker.config.loading import load_config
from unified_ranker.core.offers import Offers
from unified_ranker.core.request import History
from unified_ranker.core.times import NEVER
from unified_ranker.prepare.prepared import Prepared, prepare
from unified_ranker.project.stage_cache import fill
from unified_ranker.project.workspace import Workspace
from unified_ranker.release.indexes.exact import ExactIndex, ExactSearch
from unified_ranker.release.indexes.scann import ScannIndex
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.backends.base import VersionStatus
from unified_ranker.serving.service.ranking_service import RankingService

if TYPE_CHECKING:
    import httpx
    from fastapi.testclient import TestClient

ITEMS = 60
LATE = range(50, ITEMS)
"""Items that came on day 1, 2, … after `START`; the others have no date."""
START = 1_700_000_000
DAY = 86_400
NOW = START + 100 * DAY
IMPUTED = "1,1,1"
MODEL_NAME = "toy"
CANDIDATES = {"home_feed": 8, "search": 6}
LIMITS = {"home_feed": 4, "search": 3}

VECTORS = np.random.default_rng(5).normal(size=(ITEMS, 3)).astype(np.float32)
IDS = np.array([f"i{n}" for n in range(ITEMS)], object)
PLACE = {item: n for n, item in enumerate(IDS)}
DECLARATIONS = {
    "project": {"name": "toy", "data": {"type": "tables", "events": "e.parquet", "items": "i.parquet"}},
    # An item's vector is its code, written like a query.
    "towers": {"item": {"features": [{"type": "category", "column": "code"}]}},
    "tasks": {
        "home_feed": {
            "positives": [{"event_type": "rating", "min_value": 4, "head": "like"}],
            "exclude_engaged": True,
            "serving": {"candidates": CANDIDATES["home_feed"], "limit": LIMITS["home_feed"]},
        },
        "search": {
            "positives": [{"event_type": "click", "head": "like"}],
            "serving": {"candidates": CANDIDATES["search"], "limit": LIMITS["search"]},
        },
    },
}
CONFIG = Config.model_validate(DECLARATIONS)


def created(n: int) -> int | None:
    return START + (n - LATE.start + 1) * DAY if n in LATE else None


RELEASE = OpenedRelease(
    manifest=release_toy.toy_manifest(CONFIG, 7, ITEMS),
    config=CONFIG,
    item_ids=IDS,
    vectors=VECTORS,
    titles=np.array([f"Title {n}" for n in range(ITEMS)], object),
    created_at=np.array([created(n) or NEVER for n in range(ITEMS)], np.int64),
    offers=Offers.everywhere(ITEMS),
    clock=lambda: NOW,
)


@dataclass
class ToyModel:
    """The model server, in NumPy.

    Attributes:
        calls: signature and timeout of every call.
        states: what `status` reports.
        broken: outputs to put in the place of the right ones.
    """

    description: ClassVar[str] = "the toy"
    calls: list[tuple[str, float | None]] = field(default_factory=list)
    states: Mapping[int, str] = field(default_factory=lambda: {7: "AVAILABLE"})
    broken: dict[str, np.ndarray] = field(default_factory=dict)

    def predict(self, signature: str, inputs: dict[str, Any], timeout: float | None = None) -> dict[str, np.ndarray]:
        self.calls.append((signature, timeout))
        outputs = getattr(self, f"_{signature}")(**inputs)
        return outputs | {name: value for name, value in self.broken.items() if name in outputs}

    def status(self, timeout: float | None = None) -> list[VersionStatus]:
        return [VersionStatus(version, state) for version, state in self.states.items()]

    def start(self) -> None:
        pass

    def wait_until_available(self, timeout: float) -> int:
        return max(self.states)

    def close(self) -> None:
        pass

    @staticmethod
    def _encode(query, history_item_id, **other):
        texts = [str(text) or IMPUTED for text in query]
        return {
            "query_vector": np.array([vector(text) for text in texts], np.float32),
            "imputed_query": np.array([text.encode() for text in texts], object),
            "state_query": np.array([vector(text) for text in texts], np.float32),
            "state_events": (history_item_id != "").sum(axis=1).astype(np.float32),
        }

    @staticmethod
    def _embed_items(item_id, created_at, code):
        return {"item_vector": np.array([vector(text) for text in code], np.float32)}

    @classmethod
    def _rank_live(cls, candidate_ids, live_place, live_vectors, **states):
        given = np.take_along_axis(live_vectors, np.maximum(live_place, 0)[..., None], axis=1)
        return cls._rank_encoded(candidate_ids, **states, given=np.where(live_place[..., None] >= 0, given, np.nan))

    @staticmethod
    def _rank_encoded(candidate_ids, state_query, state_events, given=None):
        known = [[VECTORS[int(i[1:])] if i in PLACE else np.zeros(3) for i in row] for row in candidate_ids]
        rows = np.array(known) if given is None else np.where(np.isnan(given), known, given)
        retrieval = np.einsum("bnd,bd->bn", np.array(rows), state_query).astype(np.float32)
        like = np.repeat(state_events[:, None] / 10, retrieval.shape[1], axis=1)
        return {"score": -retrieval, "retrieval_score": retrieval, "like": like}


@dataclass
class ToyHistories:
    """A store of histories that notes what it was asked."""

    by_user: dict[str, History] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)

    def before(self, user_id: str, timestamp: int) -> History:
        self.asked.append((user_id, timestamp))
        return self.by_user.get(user_id, History.of([])).before(timestamp)


def vector(query: str) -> list[float]:
    return [float(part) for part in query.split(",")]


def service(model: Any = None, release: OpenedRelease = RELEASE, **settings: Any) -> RankingService:
    return RankingService(release, ExactSearch(release.vectors), model or ToyModel(), **settings)


def events(*rows: tuple[str, str, str, int, float]) -> History:
    """A history of (item, event type, task, time, value)."""
    names = ("item_id", "event_type", "task", "timestamp", "value")
    return History.of(dict(zip(names, row, strict=True)) for row in rows)


def expected(
    query: str, candidates: int, limit: int, banned: Sequence[str] = (), time: int = NOW
) -> list[tuple[str, float]]:
    """Items and retrieval scores of the right answer, worked out item by item."""
    there = [n for n in range(ITEMS) if f"i{n}" not in banned and (created(n) or 0) < time]
    scores = {n: sum(float(a) * b for a, b in zip(VECTORS[n], vector(query), strict=True)) for n in there}
    retrieved = sorted(there, key=lambda n: -scores[n])[:candidates]
    return [(f"i{n}", scores[n]) for n in sorted(retrieved, key=lambda n: scores[n])[:limit]]


# --- over HTTP ----------------------------------------------------------------------------------------------------

QUERY = "0.5,-1,2"
BODY = {"user_id": "ann", "task": "search", "query": QUERY}


def client_of(model=None, **settings) -> "TestClient":
    from fastapi.testclient import TestClient

    from unified_ranker.serving.http.api import create_app

    return TestClient(create_app(service(model, **settings)), raise_server_exceptions=False)


def recommend(client: "TestClient", **changes) -> "httpx.Response":
    return client.post("/v1/recommend", json=BODY | changes)


def ids(response: "httpx.Response") -> list[str]:
    assert response.status_code == 200, response.text
    return [item["item_id"] for item in response.json()["items"]]


def refusal(response: "httpx.Response", status: int) -> dict:
    """The body of an error, which always has the same form."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body.keys() == {"error", "request_id", "details"}
    assert body["request_id"] == response.headers["X-Request-Id"]
    return body


# --- on disk ------------------------------------------------------------------------------------------------------


def prepared_log() -> Prepared:
    """The log of the toy's project: user `ann` rated i3 and i4, and clicked i5."""
    import pandas as pd
    from log_by_rows import event, log_of

    rows = [
        ("ann", "i3", "home_feed", "rating", 5.0, 0),
        ("ann", "i4", "home_feed", "rating", 2.0, 1),
        ("bob", "i1", "home_feed", "rating", 4.0, 2),
        ("ann", "i5", "search", "click", None, 9),
    ]
    log = [
        event(user, item, 0, task, event_type=kind, value=value, timestamp=pd.Timestamp(START + n, unit="s", tz="UTC"))
        for user, item, task, kind, value, n in rows
    ]
    return prepare(log_of(log, {"item_id": IDS}), CONFIG)


def write_project(directory: Path, **declared: Any) -> Path:
    """Write the toy's declarations, and its log as `unified-ranker prepare` leaves it; returns the directory."""
    files = {
        "project.yaml": {**DECLARATIONS["project"], **declared},
        "towers/item.yaml": DECLARATIONS["towers"]["item"],
    }
    files |= {f"tasks/{name}.yaml": task for name, task in DECLARATIONS["tasks"].items()}
    for name, tree in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(json.dumps(tree))
    with fill(Workspace(directory, load_config(directory)).stage("prepare"), "toy") as (draft, _):
        prepared_log().save(draft)
    return directory


def write_release(
    releases: Path,
    vectors: np.ndarray = VECTORS,
    model: Callable[[Path], None] | None = None,
    index: ExactIndex | ScannIndex = EXACT,
    **manifest: Any,
) -> Path:
    """Write a whole release; its model scores by `VECTORS`, whatever the vectors beside it are."""
    import pandas as pd

    dates = pd.to_datetime(pd.Series([created(n) for n in range(ITEMS)], dtype="float64"), unit="s", utc=True)
    codes = [",".join(map(str, row)) for row in VECTORS.tolist()]
    catalogue = pd.DataFrame({"item_id": IDS, "title": RELEASE.titles, "created_at": dates, "code": codes})
    signatures = ("encode", "rank_encoded")
    made = {"model": model or save_model, "index": index, "vector_width": 3, "signatures": signatures, **manifest}
    return release_toy.write_release(releases, CONFIG, catalogue, vectors, **made)


def save_model(directory: Path) -> None:
    """Write `ToyModel` as a SavedModel."""
    from unified_ranker.export.signatures import request_signature
    from unified_ranker.towers.tensorflow import tf

    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant(list(IDS)), tf.range(ITEMS)), ITEMS
    )
    module.vectors = tf.constant(np.concatenate([VECTORS, np.zeros((1, 3), np.float32)]))

    def encode(**fields):
        text = tf.where(fields["query"] == "", IMPUTED, fields["query"])
        query = tf.strings.to_number(tf.strings.split(text, ",").to_tensor())
        known = tf.cast(fields["history_item_id"] != "", tf.float32)
        return {
            "query_vector": query,
            "imputed_query": text,
            "state_query": query,
            "state_events": tf.reduce_sum(known, axis=1),
        }

    def rank_encoded(candidate_ids, state_query, state_events):
        items = tf.gather(module.vectors, module.table.lookup(candidate_ids))
        retrieval = tf.einsum("bnd,bd->bn", items, state_query)
        like = tf.zeros_like(retrieval) + state_events[:, None] / 10
        return {"score": -retrieval, "retrieval_score": retrieval, "like": like}

    def rank_live(candidate_ids, state_query, state_events, live_place, live_vectors):
        known = tf.gather(module.vectors, module.table.lookup(candidate_ids))
        sent = tf.gather(tf.pad(live_vectors, [[0, 0], [0, 1], [0, 0]]), tf.maximum(live_place, 0), batch_dims=1)
        retrieval = tf.einsum("bnd,bd->bn", tf.where(live_place[..., None] >= 0, sent, known), state_query)
        like = tf.zeros_like(retrieval) + state_events[:, None] / 10
        return {"score": -retrieval, "retrieval_score": retrieval, "like": like}

    def embed_items(item_id, created_at, code):
        vectors = tf.strings.to_number(tf.strings.split(code, ",").to_tensor())
        # The other inputs change nothing; a signature has only inputs that its graph reads.
        unread = tf.zeros_like(created_at, tf.float32) * tf.cast(item_id == "", tf.float32)
        return {"item_vector": vectors + unread[:, None]}

    ranked = {
        "candidate_ids": tf.TensorSpec([None, None], tf.string, name="candidate_ids"),
        "state_query": tf.TensorSpec([None, 3], tf.float32, name="state_query"),
        "state_events": tf.TensorSpec([None], tf.float32, name="state_events"),
    }
    live = {
        "live_place": tf.TensorSpec([None, None], tf.int32, name="live_place"),
        "live_vectors": tf.TensorSpec([None, None, 3], tf.float32, name="live_vectors"),
    }
    fields = {
        "item_id": tf.TensorSpec([None], tf.string, name="item_id"),
        "created_at": tf.TensorSpec([None], tf.int64, name="created_at"),
        "code": tf.TensorSpec([None], tf.string, name="code"),
    }
    traced = {
        "embed_items": tf.function(embed_items).get_concrete_function(**fields),
        "rank_live": tf.function(rank_live).get_concrete_function(**ranked, **live),
        "encode": tf.function(encode).get_concrete_function(**request_signature()),
        "rank_encoded": tf.function(rank_encoded).get_concrete_function(**ranked),
    }
    tf.saved_model.save(module, str(directory), signatures=traced)
