"""Texts of project.yaml and export/ for an inspected log."""

from unified_ranker.config.project_file import PATIENCE
from unified_ranker.project.init.data_text import put_data
from unified_ranker.project.init.inspect_facts import Facts
from unified_ranker.project.init.project_plan import ProjectPlan
from unified_ranker.project.init.yaml_page import YamlPage

RANKING_EVERY = 4
"""Batches of which one teaches the ranking head."""
WORK = 2_500_000
"""Labelled events that a training job should see over all epochs."""
EPOCHS = (3, 20)
MINUTES = 6
"""Minutes that training may take: with the other stages, a build takes ten."""
BATCHES_AN_EPOCH = 50
_BATCH = (32, 2048)
INDEX_FROM = 20_000


def project_page(facts: Facts, plan: ProjectPlan) -> str:
    """Return the text of project.yaml."""
    found, page = facts.events, YamlPage()
    page.note(
        f"Written by `unified-ranker init` from the data: {found.events:,} events by {found.users:,} users "
        f"on a catalogue of {facts.items:,} items, from {found.first:%Y-%m-%d} to {found.last:%Y-%m-%d} "
        f"({found.days:,.0f} days). Comments give the reason for each value; change what you know better."
    )
    page.note("Next, with --project and this directory: unified-ranker validate, then unified-ranker build.")
    page.put("name", facts.name)
    tasks = ", ".join(s.task for s in found.surfaces)
    page.put("description", f"{facts.items:,} items, {found.users:,} users; {tasks}")
    page.note("Relative paths start at this directory. Elsewhere for one run: --set project.data.events=PATH")
    put_data(page, plan)
    if found.left_out:
        left = ", ".join(f"`{t}`" for t in found.left_out)
        page.note(f"Not declared in tasks/: {left}. No event there is engagement: all are anonymous, or refusals.")
    page.put("seed", 7)
    page.note("Split by time: the first 80 % of the labelled events train, 10 % validate, the last 10 % test.")
    page.put("split", {"train": 0.8, "validation": 0.1, "fit_on": "train_and_validation"})
    epochs, batch = epochs_for(found.positives), batch_for(found.positives)
    page.note(
        f"{found.positives:,} labelled events: at most {epochs} epochs, in batches of about {batch:,}. Training ends "
        f"earlier where {PATIENCE} measurements on later events show no gain, or after {MINUTES} minutes."
    )
    page.put(
        "training",
        {
            "epochs": epochs,
            "patience": PATIENCE,
            "minutes": MINUTES,
            "batch_examples": batch,
            "learning_rate": 0.003,
            "temperature": 0.07,
            "ranking_every": RANKING_EVERY,
        },
    )
    return page.text()


def serving_page() -> str:
    """Return the text of export/serving.yaml."""
    page = YamlPage()
    page.note("The served model. Requests of the log are stored with it, and the server warms up on them.")
    page.put("warmup_requests", 64)
    page.note("Batch sizes that are warmed up: a single request, a few, and a full batch of the server.")
    page.put("warmup_batch_sizes", [1, 8, 32])
    return page.text()


def embeddings_page(facts: Facts) -> str:
    """Return the text of export/embeddings.yaml."""
    page = YamlPage()
    page.note("Item vectors and the index over them.")
    page.put("batch_size", 1024)
    kind = (
        "exact search is fast enough"
        if facts.items < INDEX_FROM
        else "ScaNN finds the nearest items without scoring all"
    )
    page.note(f"{facts.items:,} items: {kind}. `auto` chooses again at each export.")
    page.put("index", {"type": "auto", "scann_from": INDEX_FROM})
    return page.text()


def epochs_for(positives: int) -> int:
    """Return the epochs after which about `WORK` labelled events have been seen, within bounds."""
    return min(max(round(WORK / max(positives, 1)), EPOCHS[0]), EPOCHS[1])


def batch_for(positives: int) -> int:
    """Return the power of two, within bounds, that gives an epoch of at least `BATCHES_AN_EPOCH` batches."""
    size = _BATCH[0]
    while 2 * size <= min(positives // BATCHES_AN_EPOCH, _BATCH[1]):
        size *= 2
    return size
