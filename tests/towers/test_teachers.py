"""The pre-trained sentence encoders: our graphs against vectors of the originals (teacher_vectors.json says how)."""

import base64
import functools
import json
from pathlib import Path

import numpy as np
import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text.teachers import build_teacher
from unified_ranker.towers.text.teachers.vectors import teacher_vectors

pytestmark = pytest.mark.xdist_group("teachers")
REFERENCE = json.loads((Path(__file__).parent / "teacher_vectors.json").read_text(encoding="utf-8"))
TEACHERS = ("minilm", "use")


@functools.cache
def teacher(name):
    pytest.importorskip("tensorflow_text", reason="the extra [text] is not installed")
    try:
        return build_teacher(name, 128)
    except UserError as error:
        pytest.skip(f"the weights cannot be had here: {error}")


@functools.cache
def graph(name):
    return tf.function(teacher(name).__call__, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)


def vectors(name, *texts):
    return graph(name)(tf.constant(list(texts), tf.string)).numpy()


@pytest.mark.parametrize("name", TEACHERS)
def test_vectors_are_those_of_the_original(name):
    ours = vectors(name, *REFERENCE["texts"])
    original = np.stack([np.frombuffer(base64.b64decode(row), "<f4") for row in REFERENCE[name]])
    assert ours.shape == original.shape
    np.testing.assert_allclose(ours, original, atol=1e-4)


@pytest.mark.parametrize("name", TEACHERS)
def test_a_text_has_one_vector_whatever_its_batch_is(name):
    texts = ["Do I need a visa?", "", "a much longer text about trains and stations " * 5, "visa"]
    together = vectors(name, *texts)
    for text, vector in zip(texts, together, strict=True):
        np.testing.assert_allclose(vectors(name, text)[0], vector, atol=1e-5)
    assert vectors(name).shape == (0, together.shape[1])


def test_what_means_the_same_is_near():
    for name, same, other in (
        ("minilm", "Where can I exchange money?", "Best way to get to the airport"),
        ("use", "¿Dónde puedo cambiar dinero?", "Best way to get to the airport"),
    ):
        asked, near, far = vectors(name, "Where can I change currency?", same, other)
        assert asked @ near > 0.6 > asked @ far + 0.2


@pytest.mark.parametrize("name", TEACHERS)
def test_long_texts_are_cut(name):
    pieces = teacher(name).tokenise(tf.constant(["word " * 5000, "word"]))
    assert pieces.row_lengths().numpy().tolist()[0] == 128


@pytest.mark.parametrize("name", TEACHERS)
def test_fine_tuning_reaches_the_upper_layers_only(name):
    """One gradient for each of them, none for what lies below."""
    model = teacher(name)
    upper = model.upper(1)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(upper)
        loss = tf.reduce_sum(model(tf.constant(["a kettle", "a visa for Japan"])) ** 3)
    assert all(g is not None and np.abs(g.numpy()).max() > 0 for g in tape.gradient(loss, upper))
    assert 0 < len(upper) < len(model.upper(3))


class Counting:
    """Embeds a text as its length, and counts what it is asked for."""

    dim, name_on_disk = 3, "counting"

    def __init__(self):
        self.asked = []

    def embed_strings(self, texts):
        def count(batch):
            self.asked += [text.decode() for text in batch]
            return np.array([[len(text), 1, 2] for text in batch], np.float32)

        return tf.ensure_shape(tf.numpy_function(count, [texts], tf.float32), [None, 3])


def test_each_text_is_embedded_once_and_kept(tmp_path):
    model = Counting()
    texts = ["bb", "a", "dddd", "a"]
    for _ in range(2):
        np.testing.assert_array_equal(teacher_vectors(model, texts, tmp_path)[:, 0], [2, 1, 4, 1])
    assert sorted(model.asked) == ["a", "bb", "dddd"]
    # Another process that has the same cache asks for what is new only.
    other = Counting()
    np.testing.assert_array_equal(teacher_vectors(other, ["bb", "ccc"], tmp_path)[:, 0], [2, 3])
    assert other.asked == ["ccc"]
    assert teacher_vectors(other, [], tmp_path).shape == (0, 3)


def test_vectors_of_other_weights_are_apart(tmp_path):
    model = Counting()
    teacher_vectors(model, ["a"], tmp_path)
    model.name_on_disk = "counting-tuned"
    teacher_vectors(model, ["a"], tmp_path)
    assert model.asked == ["a", "a"]
