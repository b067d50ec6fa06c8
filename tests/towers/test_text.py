"""The text encoder: what meets what, before anything is trained."""

import numpy as np
import pytest

from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text.hashed import HashedText
from unified_ranker.towers.text.hashed_encoder import NGRAM_WEIGHT

TITLES = np.array(
    [f"the {w} lamp" for w in ("amber", "birch", "cobalt", "denim", "ember")] + ["the", "lantern"], object
)


# Wide, so that the random vectors of different tokens are nearly orthogonal.
DIM = 512


def encoder(**settings):
    tf.keras.utils.set_random_seed(1)
    return HashedText(**{"buckets": 4096, **settings}).build(DIM, TITLES)


@pytest.fixture(scope="module")
def text():
    return encoder()


def vectors(text, *texts):
    return text(tf.constant(list(texts), tf.string)).numpy()


def cosine(text, one, other):
    a, b = vectors(text, one, other)
    return float(a @ b)


def test_a_word_in_common_makes_a_query_find_the_title(text):
    query, *titles = vectors(text, "amber", "The Amber Lamp", "The Birch Lamp", "The Cobalt Lamp")
    found = titles @ query
    assert found[0] > 0.4
    assert found[0] > found[1:].max() + 0.3


def test_a_rare_word_in_common_counts_more_than_a_common_one(text):
    assert cosine(text, "the amber", "amber") > cosine(text, "the amber", "the") + 0.2


def test_the_weight_of_a_word_begins_at_its_inverse_document_frequency():
    text = encoder(character_ngram=0)
    weight = np.exp(text.log_weight.numpy())
    the, amber, unseen = (
        weight[text.tokenise(tf.constant([w])).parts["buckets"][0, 0]] for w in ("the", "amber", "zebra")
    )
    idf = {n: np.log(1 + (len(TITLES) + 1) / (n + 1)) for n in (0, 1, 6)}
    np.testing.assert_allclose([the, amber, unseen], np.array([idf[6], idf[1], idf[0]]) / idf[0], rtol=1e-5)


def test_case_and_punctuation_do_not_matter(text):
    plain, *others = vectors(text, "école amber 7", "ÉCOLE Amber 7", "  école, (amber)...7!", "école—amber: 7")
    for other in others:
        np.testing.assert_array_equal(plain, other)


@pytest.mark.parametrize("word", ["हिन्दी", "สวัสดี", "кофе", "東京", "e\u0301cole"])
def test_a_word_of_any_script_stays_whole(word):
    assert encoder(character_ngram=0).tokenise(tf.constant([f"{word}, {word}!"])).parts[
        "buckets"
    ].row_lengths().numpy() == [2]


@pytest.mark.parametrize("nothing", ["", "   ", "?!", "— …"])
def test_a_text_without_a_word_is_the_zero_vector(text, nothing):
    np.testing.assert_array_equal(vectors(text, nothing), np.zeros((1, DIM)))


def test_other_texts_have_unit_length(text):
    np.testing.assert_allclose(np.linalg.norm(vectors(text, "amber", "x", "the the the", "zyx"), axis=1), 1, atol=1e-3)


def test_a_word_that_no_title_has_still_matches_itself(text):
    assert cosine(text, "zyxgadget", "shiny zyxgadget") > 0.5
    assert abs(cosine(text, "zyxgadget", "shiny pumpkin")) < 0.15


def test_character_ngrams_make_a_typo_similar(text):
    # Five of six n-grams in common, of which each weighs 0.3 beside the word's 1.
    typo = cosine(text, "lanterns", "lantern")
    assert typo > 0.15
    assert typo > cosine(text, "curtains", "lantern") + 0.1
    assert abs(cosine(encoder(character_ngram=0), "lanterns", "lantern")) < 0.1


def test_tokens_are_words_then_ngrams_over_the_joined_words(text):
    tokens = text.tokenise(tf.constant(["Ab cde", "", "x"]))
    # "^ab^cde^" has 8 letters, "^x^" has 3.
    assert tokens.parts["buckets"].row_lengths().numpy().tolist() == [2 + 5, 0, 1]
    np.testing.assert_allclose(tokens.parts["kinds"][0], [1, 1] + [NGRAM_WEIGHT] * 5)

    def bucket(*strings):
        return tf.strings.to_hash_bucket_fast(list(strings), 4096).numpy()

    np.testing.assert_array_equal(
        tokens.parts["buckets"][0], bucket("ab", "cde", "^ab^", "ab^c", "b^cd", "^cde", "cde^")
    )


def test_long_texts_are_cut():
    short = encoder(max_words=2, max_ngrams=3)
    tokens = short.tokenise(tf.constant(["one two three four five", "one"]))
    assert tokens.parts["buckets"].row_lengths().numpy().tolist() == [2 + 3, 1 + 2]
    assert short.tokenise(tf.constant(["word " * 20_000])).parts["buckets"].row_lengths().numpy() == [5]


def test_the_vector_is_the_weighted_sum_of_its_tokens(text):
    texts = ["the amber lamp", "birch", "", "a b c"]
    tokens = text.tokenise(tf.constant(texts))
    table, weight = text.table.numpy(), np.exp(text.log_weight.numpy())
    for row, vector in enumerate(text.embed(tokens).numpy()):
        buckets, kinds = tokens.parts["buckets"][row].numpy(), tokens.parts["kinds"][row].numpy()
        total = (table[buckets] * (weight[buckets] * kinds)[:, None]).sum(0)
        np.testing.assert_allclose(vector, total / np.sqrt((total**2).sum() + 1e-6), atol=1e-5)


def test_tokens_of_chosen_rows(text):
    tokens = text.tokenise(tf.constant(["the amber lamp", "birch", ""]))
    chosen = text.embed(tokens.at(tf.constant([2, 0, 0]))).numpy()
    np.testing.assert_array_equal(chosen, text.embed(tokens).numpy()[[2, 0, 0]])


def test_of_bytes_that_are_no_text_the_words_among_them_count(text):
    broken, nothing, amber, birch = vectors(text, b"\xff\xfe amber", b"\x80", "amber", "birch")
    assert broken @ amber > max(broken @ birch, 0) + 0.4
    assert np.isfinite(nothing).all()


def test_a_catalogue_of_more_tokens_than_the_table_has_rows_gives_the_same_vectors():
    """A catalogue in training is embedded by another route than a few texts are: values and gradients agree."""
    small = encoder(buckets=64)
    tokens = small.tokenise(tf.constant(np.tile(TITLES, 4), tf.string))
    assert tokens.parts["buckets"].flat_values.shape[0] > 64
    one = [tokens.at(tf.constant([row])) for row in range(len(TITLES) * 4)]
    found = []
    for embed in (lambda: small.embed(tokens), lambda: tf.concat([small.embed(own) for own in one], 0)):
        with tf.GradientTape() as tape:
            vectors = embed()
            total = tf.reduce_sum(vectors[:, :3])
        found.append(
            [vectors, *(tf.convert_to_tensor(g) for g in tape.gradient(total, [small.table, small.log_weight]))]
        )
    for whole, parts in zip(*found, strict=True):
        np.testing.assert_allclose(whole, parts, atol=1e-5)
