"""The comparison with other libraries as Markdown: a table for each log."""

import re
from pathlib import Path
from typing import Any

NAMES = {"joint model": "**unified_ranker**, joint model", "two towers": "unified_ranker, two towers alone"}
SURFACES = {"home_feed": "home feed", "more_like_this": "more like this", "search": "search"}


MARKED = re.compile(r"(?<=<!-- tables -->\n).*(?=<!-- end of tables -->)", re.DOTALL)


def write_tables(page: Path, logs: dict[str, Any]) -> None:
    """Put the tables into a page, between its two marks."""
    text = page.read_text(encoding="utf-8")
    page.write_text(MARKED.sub(lambda _: f"\n{markdown(logs)}\n\n", text), encoding="utf-8")


def markdown(logs: dict[str, Any]) -> str:
    """Return a table for each log: a row a model, with the best value of each column in bold."""
    if not logs:
        return "No result is kept yet."
    return "\n\n".join(f"**{log}**\n\n{_table(rows)}" for log, rows in logs.items())


def _table(rows: dict[str, Any]) -> str:
    tasks = list(dict.fromkeys(task for row in rows.values() for task in row["tasks"]))
    surfaces = [f"{SURFACES.get(task, task)}: NDCG@10 (Recall@100)" for task in tasks]
    lines = [["model", *surfaces, "training", "events/s", "memory"]]
    lines.append(["---"] * len(lines[0]))
    best = {t: max(r["tasks"][t]["ndcg@10"] for r in rows.values() if t in r["tasks"]) for t in tasks}
    for name, row in rows.items():
        cells = [_quality(row["tasks"].get(task), best[task]) for task in tasks]
        lines.append([NAMES.get(name, name), *cells, *_cost(row.get("trained"))])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _quality(found: dict[str, Any] | None, best: float) -> str:
    """Return the two metrics; a dash where a model cannot do the surface."""
    if found is None:
        return "\u2013"
    ndcg = _short(found["ndcg@10"])
    ndcg = f"**{ndcg}**" if found["ndcg@10"] == best else ndcg
    of = found.get("ndcg@10 of")
    return f"{ndcg} ({_short(found['recall@100'])})" + (f" {of}" if of else "")


def _cost(trained: dict[str, Any] | None) -> list[str]:
    if trained is None:
        return ["", "", ""]
    gib = trained["peak_mib"] / 1024
    return [f"{trained['seconds']:.0f} s", f"{trained['events_per_second']:,}", f"{gib:.1f} GiB"]


def _short(value: float) -> str:
    return f"{value:.4f}".lstrip("0") if value < 0.1 else f"{value:.3f}".lstrip("0")
