"""What a text encoder learns before the joint job, of what, and how it is served."""

import copy
import dataclasses
import importlib.machinery
import importlib.util
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from tiny_world import config, late_examples, prepared

from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.core.signature_names import EMBED_QUERIES, ENCODE_EMBEDDED
from unified_ranker.export.savedmodel import save_model
from unified_ranker.prepare.quality import TRENDING
from unified_ranker.prepare.request_arrays import request_arrays
from unified_ranker.project.declaration_checks import check_declarations
from unified_ranker.project.project_report import text_encoder_of
from unified_ranker.serving.answering.query_vectors import QueryVectorCache
from unified_ranker.towers.tensorflow import text_ops, tf
from unified_ranker.towers.text.base import TextPairSettings as PairSettings
from unified_ranker.towers.text.distilled import Distillation, distil, words_of
from unified_ranker.towers.text.hashed import HashedText
from unified_ranker.towers.text.pairs import TextPairs
from unified_ranker.towers.text.teachers import vectors as kept_vectors
from unified_ranker.towers.text.transformer import FineTuning, TransformerText, fine_tune
from unified_ranker.training.text import prepare_text
from unified_ranker.training.text.pair_training import learn_pairs, pairs_of
from unified_ranker.training.text.prepare_text import EncoderTrainer
from unified_ranker.training.trained_files import load_trained, save_trained
from unified_ranker.training.training_job import build_model, fit_end_of, train

ASKED = np.array(["cheap sleep", "bring liquids", "speak locals", "flat battery"], object)
TITLES = np.array(["budget hotels", "cabin baggage rules", "phrase books", "power banks", "a later one"], object)
PAIRS = TextPairs(ASKED, np.arange(4), np.full((4, 2), -1), {"title": TITLES}, np.arange(4))


@pytest.fixture
def with_teacher(tmp_path, monkeypatch):
    """Skips where the extra or its weights cannot be had; vectors are kept with the test."""
    pytest.importorskip("tensorflow_text", reason="the extra [text] is not installed")
    from unified_ranker.towers.text.teachers.use import USE_FILES

    try:
        USE_FILES.fetch()
    except UserError as error:
        pytest.skip(f"the weights cannot be had here: {error}")
    monkeypatch.setattr(kept_vectors, "default_cache_dir", lambda: tmp_path)


def declared(text):
    """Declarations of which the text is what takes the time."""
    small = {"signals": [], "cross_layers": 0, "type": "shared_bottom"}
    return config(training={"epochs": 1}, item={"text": text}, ranker=small)


def untrained(text, log=None):
    log = log or prepared()
    return build_model(log, declared(text), fit_end_of(log, declared(text)))[0], log


def cosines(encoder, asked=ASKED, titles=TITLES):
    return encoder(tf.constant(asked)).numpy() @ encoder(tf.constant(titles)).numpy().T


def test_pairs_teach_that_other_words_mean_the_same():
    tf.keras.utils.set_random_seed(3)
    encoder = HashedText(buckets=4096).build(64, TITLES)
    before = cosines(encoder)
    learn_pairs(encoder, PAIRS, PairSettings(steps=40, batch=4, negatives=4, learning_rate=0.02), 1)
    after = cosines(encoder)
    assert np.abs(np.diag(before)).max() < 0.5
    assert (after[:, :4].argmax(1) == np.arange(4)).all()
    assert np.diag(after).min() > 0.4


def test_pairs_end_in_time_and_need_none(caplog):
    encoder = HashedText(buckets=64).build(4, TITLES)
    learn_pairs(encoder, PAIRS, PairSettings(steps=10_000, batch=4, max_seconds=0.2), 1)
    assert "text pairs: stopped after" in caplog.text
    nothing = dataclasses.replace(PAIRS, queries=ASKED[:0], items=PAIRS.items[:0], banned=PAIRS.banned[:0])
    weights = [w.numpy() for w in encoder.weights]
    learn_pairs(encoder, nothing, PairSettings(steps=5), 1)
    for weight, same in zip(encoder.weights, weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), same)


def test_an_answer_is_no_negative():
    pairs = dataclasses.replace(
        PAIRS, items=np.array([0, 0, 1, 2]), banned=np.array([[3, -1], [-1, 1], [-1, -1], [2, 2]])
    )
    for batch in pairs.batches(5, 4, 6, seed=2):
        for row, number in enumerate(batch["query"]):
            for column, item in enumerate(batch["candidates"]):
                own = column == row
                answer = item == pairs.items[number] or item in pairs.banned[number]
                assert batch["left_out"][row, column] == (answer and not own)


def test_pairs_are_what_the_model_sees_as_query_and_known_item():
    model, log = untrained({"type": "hashed"})
    examples = log.between(None, fit_end_of(log, model.config))
    pairs = pairs_of(model, log, examples)
    titles = model.catalogue.titles
    searches = int((examples.task == "search").sum())
    # The home feed has no query; more-like-this has the title of its source.
    imputed = np.isin(pairs.queries, titles).sum()
    assert len(pairs) - imputed == searches
    assert imputed >= 0.9 * (examples.task == "more_like_this").sum()
    assert "twin vase" not in set(pairs.texts())


@pytest.mark.xdist_group("teachers")
def test_nothing_later_than_the_fit_window_is_learnt_from(with_teacher):
    """Other words in items that came later leave every weight as it was."""
    text = {
        "type": "distilled", "teacher": "use", "buckets": 512,
        "distillation": {"steps": 5, "batch": 8}, "pairs": {"steps": 5, "batch": 8, "negatives": 4},
    }  # fmt: skip
    changed = copy.copy(prepared())
    items = changed.items.copy()
    items.loc[items["item_id"].isin(["i18", "i19"]), "title"] = "something wholly different"
    found = []
    for log in (prepared(), dataclasses.replace(changed, items=items)):
        model, _ = untrained(text, log)
        examples = log.between(None, fit_end_of(log, model.config))
        prepare_text(model, log, examples)
        found.append([w.numpy() for w in model.text.weights])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.xdist_group("teachers")
def test_a_distilled_encoder_gives_its_teachers_vectors(with_teacher):
    teacher = TransformerText(type="transformer", teacher="use").build(16, TITLES)
    teacher.begin_with(teacher.tokenise(tf.constant(np.concatenate([TITLES, ASKED]))).parts["vector"].numpy())
    student = HashedText(buckets=4096).build(16, TITLES)
    texts = np.concatenate([TITLES, ASKED])
    distil(student, teacher, texts, Distillation(steps=160, batch=32), EncoderTrainer(PAIRS, 16, 1))
    given = np.concatenate([texts, words_of(texts)])
    alike = (student(tf.constant(given)).numpy() * teacher(tf.constant(given)).numpy()).sum(1)
    assert alike.mean() > 0.9
    assert set(words_of(np.array(["Été, à la mer!"], object))) == {"été", "à", "la", "mer"}


@pytest.mark.xdist_group("teachers")
def test_the_projection_keeps_what_is_near_near(with_teacher):
    encoder = TransformerText(type="transformer", teacher="use").build(24, TITLES)
    texts = tf.constant(
        [f"{a} {b}" for a in ("cheap", "late", "good") for b in ("trains", "food", "beds", "visa", "sea")]
    )
    encoder.begin_with(encoder.tokenise(texts).parts["vector"].numpy())
    near = cosines(encoder, ["trains that are cheap"], ["cheap trains", "good food", "late visa"])[0]
    assert near[0] > near[1:].max() + 0.2
    nothing = encoder(tf.constant(["", " ?! "])).numpy()
    np.testing.assert_array_equal(nothing, np.zeros_like(nothing))
    broken = cosines(encoder, [b"\xff\xfe visa"], ["visa", "food", "beds"])[0]
    assert broken[0] > broken[1:].max(), "of bytes that are no text the words among them count"


@pytest.mark.xdist_group("teachers")
def test_fine_tuning_brings_pairs_together(with_teacher):
    settings = TransformerText(
        type="transformer", teacher="use", trainable=True,
        fine_tuning=FineTuning(steps=15, batch=4, layers=4, learning_rate=1e-3),
    )  # fmt: skip
    encoder = settings.build(8, TITLES)
    name = encoder.name_on_disk

    def likeness():
        both = encoder.teacher(tf.constant(np.concatenate([ASKED, TITLES[:4]]))).numpy()
        scores = both[:4] @ both[4:].T
        return np.diag(scores).mean() - scores.mean()

    before = likeness()
    fine_tune(encoder, settings.fine_tuning, 0.07, EncoderTrainer(PAIRS, 8, 1))
    assert likeness() > before + 0.1
    # Vectors of other weights are kept apart from those of the original.
    assert encoder.name_on_disk != name


@pytest.mark.xdist_group("teachers")
def test_a_transformer_is_trained_kept_and_served(with_teacher, tmp_path):
    """One world for the whole way: joint job, disk, SavedModel in a process that has never seen TensorFlow Text."""
    text = {
        "type": "transformer", "teacher": "use", "trainable": True, "joint": "frozen", "residual": 8,
        "fine_tuning": {"steps": 2, "batch": 8, "layers": 1}, "pairs": {"steps": 5, "batch": 8, "negatives": 4},
    }  # fmt: skip
    declarations = declared(text)
    made = train(prepared(), declarations, tmp_path / "checkpoints")
    vectors = made.model.item_vectors().numpy()
    assert not any("projection" in w.name for w in made.model.trainable_variables)
    folder = tmp_path / "trained"
    folder.mkdir()
    save_trained(made, folder)
    again = load_trained(folder, prepared(), declarations)
    np.testing.assert_allclose(again.model.item_vectors().numpy(), vectors, atol=1e-5)

    save_model(made.model, vectors, tmp_path / "1")
    requests = late_examples()
    chosen = np.concatenate([np.flatnonzero(requests.task == task)[:2] for task in declarations.tasks])
    arrays = request_arrays(requests.take(chosen), prepared(), 8)
    np.savez(tmp_path / "request.npz", **{k: v.astype(str) if v.dtype == object else v for k, v in arrays.items()})
    code = f"""
import sys
import numpy as np
from pathlib import Path
from unified_ranker.serving.backends.in_process_model import InProcessModel
assert "tensorflow_text" not in sys.modules
predict = InProcessModel(Path({str(tmp_path / "1")!r}), 1, with_text_ops=True).predict
assert "tensorflow_text" in sys.modules
given = np.load({str(tmp_path / "request.npz")!r})
arrays = {{k: v.astype(object) if v.dtype.kind == "U" else v for k, v in given.items()}}
plain = predict("encode", arrays)["query_vector"]
embedded = predict({EMBED_QUERIES!r}, {{"query": arrays["query"]}})["query_embedding"]
trending = np.full((len(arrays["query"]), {len(config().towers.item.popularities)}, {TRENDING}), -1)
answer = predict({ENCODE_EMBEDDED!r}, {{**arrays, "query_embedding": embedded, "trending": trending}})
np.testing.assert_allclose(answer["query_vector"], plain, atol=1e-5)
np.save({str(tmp_path / "answer.npy")!r}, embedded)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    asked = tf.constant([q.decode() if isinstance(q, bytes) else q for q in arrays["query"]])
    served = np.load(tmp_path / "answer.npy")
    np.testing.assert_allclose(served, made.model.text(asked).numpy(), atol=1e-5)


def test_the_service_embeds_a_query_once_and_keeps_the_last_ones():
    asked = []

    def predict(signature, inputs):
        asked.append((signature, list(inputs.get("query", []))))
        if signature == EMBED_QUERIES:
            return {"query_embedding": np.array([[len(q), 1.0] for q in inputs["query"]], np.float32)}
        return {"seen": inputs.get("query_embedding")}

    evicted: list[int] = []
    kept = QueryVectorCache(capacity=2, evicted=lambda: evicted.append(1))
    call = kept.around(predict)
    queries = lambda *texts: {"query": np.array(texts, object)}  # noqa: E731
    np.testing.assert_array_equal(call("encode", queries("aa", "", "b", "aa"))["seen"][:, 0], [2, 0, 1, 2])
    assert [name for name, _ in asked] == [EMBED_QUERIES, ENCODE_EMBEDDED]
    assert asked[0][1] == [b"aa", b"b"]
    np.testing.assert_array_equal(call("encode", queries("b"))["seen"], [[1, 1]])
    assert [name for name, _ in asked] == [EMBED_QUERIES, ENCODE_EMBEDDED, ENCODE_EMBEDDED]
    call("encode", queries("cccc"))
    assert call("encode", queries("b"))["seen"][0, 0] == 1
    # "aa" was used longest ago and has gone; a request without a query is encoded as it is.
    before = len(asked)
    call("encode", queries("aa"))
    assert [name for name, _ in asked[before:]] == [EMBED_QUERIES, ENCODE_EMBEDDED]
    assert len(evicted) == 2
    assert call("encode", queries(""))["seen"] is None
    assert call("rank_encoded", {})["seen"] is None


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "tensorflow_text" else real(name, *a)
    )
    with pytest.raises(UserError, match=r"pip install 'tensorflow-text==2\.20\.\*' 'safetensors"):
        text_ops()
    with pytest.raises(UserError, match="not installed: tensorflow_text"):
        TransformerText(type="transformer").build(8, TITLES)
    HashedText(buckets=64).build(8, TITLES)


def test_the_kind_is_chosen_by_type():
    travel = Path(__file__).parents[2] / "examples" / "travel"
    for kind in ("hashed", "distilled", "transformer"):
        assert load_config(travel, [f"towers.item.text={{type: {kind}}}"]).towers.item.text.type == kind
    assert load_config(travel, ["towers.item.text={buckets: 128}"]).towers.item.text == HashedText(buckets=128)
    with pytest.raises(UserError, match="transformer"):
        load_config(travel, ["towers.item.text={type: transfomer}"])
    with pytest.raises(UserError, match="minilm"):
        load_config(travel, ["towers.item.text={type: distilled, teacher: minlm}"])


def test_validation_asks_for_the_extra_before_anything_is_trained(monkeypatch, make_config, toy_log):
    declarations = make_config(towers={"item": {"text": {"type": "distilled"}}})
    of_text = lambda: [c for c in check_declarations(declarations, toy_log) if "`text.type`" in c.name]  # noqa: E731
    for name in ("tensorflow_text", "safetensors"):
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    assert [c.passed for c in of_text()] == [True]
    monkeypatch.setitem(sys.modules, "tensorflow_text", None)
    assert of_text()[0].failed
    assert of_text()[0].what_to_do.startswith("pip install 'tensorflow-text==")


def test_the_report_names_the_kind():
    assert text_encoder_of(declared({"type": "hashed"})) == "hashed"
    description = text_encoder_of(
        declared({"type": "transformer", "teacher": "use", "trainable": True, "pairs": {"steps": 3}})
    )
    assert description == "transformer, teacher use (fine-tuned), trained on pairs first"
