"""Behaviours of every text encoder: strings to unit vectors, the same in training and in the served graph."""

import numpy as np
import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.core.extras import missing_modules
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text.base import TEXT_ENCODERS, TextPairSettings
from unified_ranker.towers.text.pairs import TextPairs
from unified_ranker.towers.text.teachers import vectors as kept_vectors
from unified_ranker.training.text.prepare_text import EncoderTrainer

pytestmark = pytest.mark.xdist_group("teachers")

DIM = 16
TITLES = np.array(["budget hotels", "cabin baggage rules", "phrase books", "power banks"], object)
ASKED = np.array(["cheap sleep", "bring liquids", "speak locals", "flat battery"], object)
# Of another alphabet, without a word, cut in the middle of a letter, and long.
TEXTS = ["budget hotels", "ünïcödé 東京", "", " ?! ", b"\xff\xfe amber", b"\xe6\x9d", "word " * 3000]
NO_WORDS = [2, 3]


@pytest.fixture(scope="module", params=list(TEXT_ENCODERS))
def kind(request):
    declared = TEXT_ENCODERS[request.param](type=request.param)
    if declared.extra is not None and missing_modules(declared.extra):
        pytest.skip(f"the extra [{declared.extra}] is not installed")
    return declared


@pytest.fixture(scope="module")
def vectors_of_teachers(tmp_path_factory):
    """Where a teacher's vectors are kept meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("vectors")
        patch.setattr(kept_vectors, "default_cache_dir", lambda: folder)
        yield


@pytest.fixture(scope="module")
def encoder(kind, vectors_of_teachers):
    tf.keras.utils.set_random_seed(5)
    try:
        return kind.build(DIM, TITLES)
    except UserError as error:
        pytest.skip(f"the weights cannot be had here: {error}")


def test_vectors_have_unit_length_and_texts_without_a_word_are_zero(encoder):
    found = encoder(tf.constant(TEXTS)).numpy()
    assert found.shape == (len(TEXTS), DIM)
    lengths = np.linalg.norm(found, axis=1)
    np.testing.assert_array_equal(lengths[NO_WORDS], 0)
    np.testing.assert_allclose(np.delete(lengths, [*NO_WORDS, 5]), 1, atol=1e-2)


def test_equal_texts_are_equal_and_others_differ(encoder):
    found = encoder(tf.constant(["power banks", "phrase books", "power banks"])).numpy()
    np.testing.assert_allclose(found[0], found[2], atol=1e-6)
    assert found[0] @ found[1] < 0.99


def test_a_text_does_not_depend_on_its_neighbours(encoder):
    together = encoder(tf.constant(TEXTS)).numpy()
    for row, text in enumerate(TEXTS):
        np.testing.assert_allclose(encoder(tf.constant([text])).numpy()[0], together[row], atol=1e-5)


def test_tokens_are_named_and_taken_by_their_rows(encoder):
    tokens = encoder.tokenise(tf.constant(TEXTS))
    assert tuple(tokens.parts) == encoder.parts
    chosen = encoder.embed(tokens.at(tf.constant([1, 0, 2, 1]))).numpy()
    np.testing.assert_allclose(chosen, encoder.embed(tokens).numpy()[[1, 0, 2, 1]], atol=1e-5)


def test_no_text_is_no_error(encoder):
    assert encoder(tf.constant([], tf.string)).shape == (0, DIM)


def test_a_served_graph_gives_the_same_vectors(encoder, tmp_path):
    served = tf.Module()
    served.encoder, served.resources = encoder, list(encoder.resources)
    call = tf.function(encoder.call, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    served.embed = call
    tf.saved_model.save(served, str(tmp_path), signatures=call)
    loaded = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    [found] = loaded(tf.constant(TEXTS)).values()
    np.testing.assert_allclose(found, encoder(tf.constant(TEXTS)).numpy(), atol=1e-5)


def test_a_frozen_encoder_can_still_learn_alone(encoder):
    assert encoder.learnt
    encoder.trainable = False
    try:
        assert not encoder.trainable_variables
        assert len(encoder.learnt) > 0
    finally:
        encoder.trainable = True
    assert {v.ref() for v in encoder.learnt} == {v.ref() for v in encoder.trainable_variables}


def test_made_ready_and_taught_by_pairs_a_query_finds_what_it_led_to(kind, vectors_of_teachers):
    """The declared training: a teacher, if there is one, then pairs."""
    quick = {"steps": 40, "batch": 4, "negatives": 4, "learning_rate": 0.02}
    settings = {"distillation": {"steps": 5, "batch": 8}} if kind.type == "distilled" else {}
    declared = type(kind).model_validate({"type": kind.type, "pairs": quick, **settings})
    tf.keras.utils.set_random_seed(3)
    try:
        encoder = declared.build(DIM, TITLES)
        pairs = TextPairs(ASKED, np.arange(4), np.full((4, 2), -1), {"title": TITLES}, np.arange(4))
        trainer = EncoderTrainer(pairs, DIM, 1)
        declared.pretrain(encoder, trainer)
    except UserError as error:
        pytest.skip(f"the weights cannot be had here: {error}")
    trainer.learn_pairs(encoder, declared.pairs)
    likeness = encoder(tf.constant(ASKED)).numpy() @ encoder(tf.constant(TITLES)).numpy().T
    assert (likeness.argmax(1) == np.arange(4)).all()
    assert np.diag(likeness).min() > 0.4


def test_its_declaration_has_the_training_that_every_encoder_has(kind):
    assert kind.pairs == TextPairSettings()
    assert kind.joint == "trained"
    assert kind.type in kind.describe()
