"""The multi-task ranking head."""

from dataclasses import replace

import numpy as np
import pytest
from encoded_toy import encoded_state

from unified_ranker.config import RankerSettings
from unified_ranker.tasks.heads import MultiTaskHead
from unified_ranker.towers.tensorflow import tf

DIM, BATCH, CANDIDATES, EVENTS, QUALITY, SIGNALS, TASKS, HEADS = 8, 4, 6, 5, 3, 2, 3, 2
TEMPERATURE = 0.1


def inputs(candidates=CANDIDATES, events=EVENTS):
    rng = np.random.default_rng(1)

    def normal(*shape):
        return tf.constant(rng.normal(size=shape), tf.float32)

    history, items = normal(BATCH, EVENTS, DIM)[:, :events], normal(BATCH, CANDIDATES, DIM)[:, :candidates]
    state = encoded_state(
        BATCH,
        DIM,
        embedding=normal(BATCH, DIM),
        source=normal(BATCH, DIM),
        context=normal(BATCH, 2 * DIM),
        task=tf.constant([1, 2, 3, 1], tf.int64),
        history=history,
        history_mask=tf.sequence_mask([min(n, events) for n in (EVENTS, 3, 0, 1)], events),
    )
    quality, retrieval = normal(BATCH, CANDIDATES, QUALITY)[:, :candidates], normal(BATCH, CANDIDATES)[:, :candidates]
    signals = normal(BATCH, CANDIDATES, SIGNALS)[:, :candidates]
    return state, items, quality, signals, retrieval


def build(trained=True, strengths=(1.0,) * TASKS, with_crosses=(True,) * TASKS, **settings):
    tf.keras.utils.set_random_seed(2)
    config = RankerSettings(**{"hidden": 8, "experts": 3, "cross_layers": 2, **settings})
    head = MultiTaskHead(config, strengths, with_crosses, [True] * HEADS, DIM, QUALITY + SIGNALS, TEMPERATURE)
    head(*inputs())
    rng = np.random.default_rng(3)
    for variable in head.trainable_variables if trained else ():
        variable.assign_add(rng.normal(0, 0.3, variable.shape))
    return head


@pytest.fixture(scope="module", params=["mmoe", "ple", "shared_bottom"])
def head(request):
    return build(type=request.param)


@pytest.mark.parametrize("kind", ["mmoe", "ple", "shared_bottom"])
def test_an_untrained_head_ranks_as_retrieval_does(kind):
    state, *rest, retrieval = inputs()
    logits = build(trained=False, type=kind)(state, *rest, retrieval).numpy()
    np.testing.assert_allclose(logits, np.tile(retrieval.numpy()[..., None] / TEMPERATURE, HEADS), rtol=1e-6)


@pytest.mark.parametrize("kind", ["mmoe", "ple", "shared_bottom"])
def test_a_task_without_crosses_ranks_as_a_head_without_them(kind):
    """Requests are of the tasks 1, 2, 3 and 1; all weights but those of the crosses are the same."""
    whole, mixed = build(type=kind), build(type=kind, with_crosses=(True, False, False))
    plain = build(type=kind, cross_layers=0)
    crosses = {id(weight) for cross in whole.crosses for weight in cross.weights}
    plain.set_weights([weight.numpy() for weight in whole.weights if id(weight) not in crosses])
    assert len(mixed.weights) == len(whole.weights)
    found, with_crosses, without = (head(*inputs()).numpy() for head in (mixed, whole, plain))
    np.testing.assert_allclose(found[[0, 3]], with_crosses[[0, 3]], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[[1, 2]], without[[1, 2]], rtol=1e-4, atol=1e-5)
    assert np.abs(with_crosses - without).min(axis=(1, 2)).max() > 1e-3, "crosses tell"


def test_a_task_without_crosses_teaches_them_nothing():
    head, (state, *rest) = build(with_crosses=(True, False, False)), inputs()
    weights = [weight for cross in head.crosses for weight in cross.trainable_weights]
    for task, learns in ((1, True), (2, False)):
        with tf.GradientTape() as tape:
            logits = head(replace(state, task=tf.fill([BATCH], np.int64(task))), *rest)
        moved = [float(tf.reduce_max(tf.abs(g))) for g in tape.gradient(logits, weights)]
        assert (max(moved) > 0) == learns


@pytest.mark.parametrize("kind", ["mmoe", "ple", "shared_bottom"])
def test_strength_is_the_share_of_what_the_head_adds_to_retrieval(kind):
    """Requests are of the tasks 1, 2, 3 and 1; in training every task has its whole head."""
    whole, none, mixed = (build(strengths=s, type=kind) for s in ((1, 1, 1), (0, 0, 0), (1, 0.25, 0)))
    full, prior, found = (head(*inputs()).numpy() for head in (whole, none, mixed))
    scale = whole.retrieval_scale.numpy()[[1, 2, 3, 1]]
    np.testing.assert_allclose(prior, inputs()[-1].numpy()[..., None] * scale[:, None], rtol=1e-5)
    share = np.array([1, 0.25, 0, 1])[:, None, None]
    np.testing.assert_allclose(found, prior + share * (full - prior), rtol=1e-4, atol=1e-5)
    assert np.abs(full - prior).max() > 0.1
    tf.keras.utils.set_random_seed(4)
    expected = whole(*inputs(), training=True).numpy()
    tf.keras.utils.set_random_seed(4)
    np.testing.assert_array_equal(mixed(*inputs(), training=True), expected)


@pytest.mark.parametrize("part", ["embedding", "source", "context", "history"])
def test_every_part_of_the_state_tells(head, part):
    state, *rest = inputs()
    before, after = head(state, *rest).numpy(), head(replace(state, **{part: -getattr(state, part)}), *rest).numpy()
    changed = np.abs(after - before).max(axis=(1, 2)) > 1e-4
    # The third request has no history.
    assert changed.tolist() == [True, True, part != "history", True]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_everything_about_a_candidate_tells(head, place):
    state, *rest = inputs()
    before = head(state, *rest).numpy()
    rest[place] = -rest[place]
    assert (np.abs(head(state, *rest).numpy() - before) > 1e-5).any(2).all()


def test_masked_history_has_no_influence(head):
    state, *rest = inputs()
    noise = tf.where(state.history_mask[..., None], state.history, 7.0)
    np.testing.assert_array_equal(head(replace(state, history=noise), *rest), head(state, *rest))


@pytest.mark.parametrize("padding", [1, 11])
def test_padding_has_no_influence(head, padding):
    """Neither has it where nothing in the history is like the candidate."""
    state, items, *rest = inputs()
    state = replace(state, history=-tf.tile(items[:, :1], [1, EVENTS, 1]))
    longer = replace(
        state,
        history=tf.pad(state.history, [[0, 0], [0, padding], [0, 0]], constant_values=3.0),
        history_mask=tf.pad(state.history_mask, [[0, 0], [0, padding]]),
    )
    np.testing.assert_allclose(head(longer, items, *rest), head(state, items, *rest), atol=1e-5)


def test_the_order_of_the_history_does_not_matter(head):
    state, *rest = inputs()
    turned = {name: tf.reverse(getattr(state, name), [1]) for name in ("history", "history_mask")}
    np.testing.assert_allclose(head(replace(state, **turned), *rest), head(state, *rest), atol=1e-5)


def test_no_history_at_all(head):
    state, *rest = inputs()
    masked = replace(state, history_mask=tf.zeros_like(state.history_mask))
    none = replace(state, history=state.history[:, :0], history_mask=state.history_mask[:, :0])
    assert np.isfinite(head(masked, *rest)).all()
    np.testing.assert_allclose(head(none, *rest), head(masked, *rest), atol=1e-6)


def test_a_candidate_is_scored_by_itself(head):
    state, *rest = inputs()
    whole = head(state, *rest).numpy()
    for place in range(CANDIDATES):
        alone = head(state, *(part[:, place : place + 1] for part in rest)).numpy()
        np.testing.assert_allclose(alone[:, 0], whole[:, place], atol=1e-5)


def test_no_candidates_no_scores(head):
    assert head(*inputs(candidates=0)).shape == (BATCH, 0, HEADS)


@pytest.mark.parametrize("name", ["gate", "retrieval_scale"])
def test_what_belongs_to_a_task_changes_that_task_alone(name):
    head = build()
    before = head(*inputs()).numpy()
    variable = getattr(head, name)
    change = np.zeros(variable.shape, np.float32)
    change[1] = np.arange(1, variable.shape[1] + 1)
    variable.assign_add(change)
    changed = (np.abs(head(*inputs()).numpy() - before) > 1e-5).any(axis=(1, 2))
    assert changed.tolist() == [True, False, False, True]


def test_an_unknown_task_ranks_otherwise_than_a_known_one(head):
    state, *rest = inputs()
    unknown, known = (head(replace(state, task=tf.fill([BATCH], tf.constant(t, tf.int64))), *rest) for t in (0, 1))
    assert np.ptp(unknown, axis=1).min() > 1e-3, "it ranks its candidates"
    assert np.abs(unknown - known).max() > 1e-3


def test_dropout_only_in_training():
    head = build(dropout=0.5)
    np.testing.assert_array_equal(head(*inputs()), head(*inputs()))
    assert np.abs(head(*inputs(), training=True).numpy() - head(*inputs()).numpy()).max() > 1e-3


def gelu(x):
    return tf.nn.gelu(tf.constant(x, tf.float32)).numpy()


def softmax(x):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def test_the_logits_are_those_of_the_plain_formula():
    """Of features side by side, crosses of them, and attention by a matrix on the candidates; all of it in NumPy."""
    head, (state, items, quality, signals, retrieval) = build(), inputs()
    items, retrieval, task = items.numpy(), retrieval.numpy(), state.task.numpy()
    direct = np.concatenate([quality, signals], -1)
    history, mask = state.history.numpy(), state.history_mask.numpy()
    scores = np.where(mask[:, None], np.einsum("bnd,bhd->bnh", items @ head.attention.kernel.numpy(), history), -np.inf)
    weights = np.where(mask.any(1)[:, None, None], scores, 0.0)
    attended = np.einsum("bnh,bhd->bnd", softmax(weights) * mask[:, None], history)
    closest = np.where(mask[:, None], np.einsum("bnd,bhd->bnh", items, history), 0.0).max(2).clip(0)
    context = gelu(state.context.numpy() @ head.context.kernel.numpy() + head.context.bias.numpy())
    embedding, source = state.embedding.numpy()[:, None], state.source.numpy()[:, None]
    parts = [items, items * embedding, items * source, items * attended, np.repeat(context[:, None], CANDIDATES, 1)]
    numbers = [direct, retrieval[..., None], closest[..., None], (items * source).sum(-1, keepdims=True)]
    first = np.concatenate([*parts, *numbers], -1)
    crossed = first
    for cross in head.crosses:
        narrow, wide, bias = (weight.numpy() for weight in cross.weights)
        crossed = first * (crossed @ narrow @ wide + bias) + crossed
    shared = gelu(crossed @ head.reduce.kernel.numpy() + head.reduce.bias.numpy())
    experts = gelu(shared @ head.experts.kernel.numpy() + head.experts.bias.numpy()).reshape(BATCH, CANDIDATES, 3, -1)
    mixed = np.einsum("bneh,be->bnh", experts, softmax(head.gate.numpy()[task]))
    learnt = mixed @ head.heads.kernel.numpy() + head.heads.bias.numpy()
    added = learnt + np.einsum("bnc,bch->bnh", direct, head.direct.numpy()[task])
    expected = added + retrieval[..., None] * head.retrieval_scale.numpy()[task][:, None]
    np.testing.assert_allclose(head(state, items, quality, signals, retrieval), expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(added, axis=1).min() > 0.1, "the head adds something"


@pytest.mark.parametrize("kind", ["mmoe", "ple"])
def test_the_experts_are_mixed_as_numpy_says(kind):
    head = build(type=kind, own_experts=2)
    rng = np.random.default_rng(4)
    shared, task = rng.normal(size=(BATCH, CANDIDATES, 16)).astype(np.float32), np.array([1, 2, 3, 1])
    experts = gelu(shared @ head.experts.kernel.numpy() + head.experts.bias.numpy()).reshape(BATCH, CANDIDATES, 3, 8)
    if kind == "ple":
        kernel, bias = head.own_kernel.numpy()[task], head.own_bias.numpy()[task]
        own = gelu(np.einsum("bnd,bde->bne", shared, kernel) + bias).reshape(BATCH, CANDIDATES, 2, 8)
        experts = np.concatenate([experts, own], 2)
    expected = np.einsum("bneh,be->bnh", experts, softmax(head.gate.numpy()[task]))
    kernel, bias = (rng.normal(size=v.shape).astype(np.float32) for v in head.heads.weights)
    head.heads.set_weights([kernel, bias])
    found = head._mix(tf.constant(shared), tf.constant(task, tf.int64), CANDIDATES)
    np.testing.assert_allclose(found, expected @ kernel + bias, atol=1e-5)


@pytest.mark.parametrize("name", ["own_kernel", "own_bias"])
def test_no_task_moves_the_experts_of_another(name):
    head = build(type="ple")
    before = head(*inputs()).numpy()
    variable = getattr(head, name)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(head(*inputs())[1] ** 2)
    moved = np.abs(tf.convert_to_tensor(tape.gradient(loss, variable))).max(axis=(1, 2)) > 1e-6
    assert moved.tolist() == [False, False, True, False], "the second request is of task 2"
    change = np.zeros(variable.shape, np.float32)
    change[2] = 0.5
    variable.assign_add(change)
    changed = (np.abs(head(*inputs()).numpy() - before) > 1e-5).any(axis=(1, 2))
    assert changed.tolist() == [False, True, False, False]


def test_own_experts_begin_differently_and_an_unknown_task_has_none():
    kernel = build(trained=False, type="ple").own_kernel.numpy()
    assert np.abs(kernel[0]).max() == 0
    assert np.abs(kernel[1] - kernel[2]).max() > 0.1
