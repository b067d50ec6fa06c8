"""Imputation from items that were changed since the release: the model knows their titles as released, or none."""

from dataclasses import replace

from unified_ranker.core.request import Request
from unified_ranker.serving.answering.opened_release import OpenedRelease


def with_live_title(release: OpenedRelease, request: Request) -> Request:
    """Return a request with the present title of its source item as query, where its task would impute the old one.

    The rules are those of `tasks.imputation`. All other imputation is left to the model.
    """
    # Most releases have no changed items, and tables of requests never meet any.
    if release.live is None and release.foreign is None:
        return request
    rules = release.config.tasks[request.task].imputation
    if request.query or rules.query != "source_item_title":
        return request
    source = request.source_item_id
    if rules.source_item == "last_history_item" and not (source and release.knows(source)):
        past = request.history.before(request.timestamp).of_types(release.config.towers.user.history_events)
        source = str(past.item_id[-1]) if len(past) else source
    at = release.positions([source])
    if not source or at[0] < 0 or not release.foreign_at(at)[0]:
        return request
    return replace(request, query=str(release.titles_at(at)[0]))
