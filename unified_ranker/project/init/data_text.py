"""Text of `data` in project.yaml: the tables of the log, and its columns, each with the reason."""

from unified_ranker.project.init.column_choices import TABLE_NAMES
from unified_ranker.project.init.project_plan import ProjectPlan
from unified_ranker.project.init.yaml_page import YamlPage


def put_data(page: YamlPage, plan: ProjectPlan) -> None:
    """Write the section `data`."""
    page.begin("data")
    page.entry("type", "tables")
    if plan.title:
        page.note(f"Layout: {plan.title}.", 2)
    for name in TABLE_NAMES:
        source = getattr(plan.data, name)
        if name in plan.notes:
            page.note(plan.notes[name], 2)
        declared = None if source is None else source.model_dump(mode="json")
        if declared is None:
            if name == "items":
                page.note("No table of items: they are those of the events, with what is constant for each.", 2)
            else:
                page.note("There is no users table, so users have no profile beside the ids in the events.", 2)
        elif isinstance(declared, dict):
            page.begin(name, 2)
            for key, value in declared.items():
                page.put(key, value, 4)
        else:
            page.entry(name, declared)
    if plan.data.order == "row":
        page.note("The log has no times: the order of its rows is its time, and the split is by position.", 2)
        page.entry("order", "row")
    for name, value in plan.data.model_dump(mode="json").items():
        if name in plan.notes and name not in TABLE_NAMES:
            page.note(plan.notes[name], 2)
            page.entry(name, value)
    _columns(page, plan)
    if plan.left_out:
        names = ", ".join(f"`{name}`" for name in plan.left_out)
        page.note(f"Left out of the events, because no column of ours means them: {names}.", 2)


def _columns(page: YamlPage, plan: ProjectPlan) -> None:
    """Write the columns that are not taken by their own names, with the reasons."""
    declared = [choice for choice in plan.choices if choice.source is not None and not choice.plain]
    if not declared:
        return
    page.note("Columns of ours by columns of theirs; others are taken by their own names.", 2)
    page.begin("columns", 2)
    for table in TABLE_NAMES:
        of_table = [choice for choice in declared if choice.table == table]
        if of_table:
            page.begin(table, 4)
        for choice in of_table:
            page.note(f"{choice.why[:1].upper()}{choice.why[1:]}.", 6)
            page.put(choice.column, choice.declared, 6)
