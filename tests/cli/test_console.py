"""Output of the command line: what goes to which stream, and how it looks in a file and at a terminal."""

import json
import os
import subprocess
import sys
import termios

import pytest

from unified_ranker.cli.console import print_json, print_table, remark, say, say_check, warn

LONG = " ".join(["word"] * 60)


def at_a_terminal(code):
    """Run code with both streams at a terminal of 60 columns, and return what it shows."""
    master, terminal = os.openpty()
    os.set_blocking(master, False)
    termios.tcsetwinsize(terminal, (24, 60))
    colours = {**os.environ, "TERM": "xterm-256color"}
    colours.pop("NO_COLOR", None)
    code = f"from unified_ranker.cli.console import *\n{code}"
    subprocess.run([sys.executable, "-c", code], stdout=terminal, stderr=terminal, env=colours, check=True)
    shown = os.read(master, 65536).decode()
    os.close(terminal)
    os.close(master)
    return shown


def test_answers_and_remarks_have_streams_of_their_own(capsys):
    say("the answer")
    print_json({"a": 1})
    print_table("title", ["name"], [["x"]])
    remark("reading")
    warn("no histories")
    out, err = capsys.readouterr()
    assert out.startswith('the answer\n{"a": 1}\ntitle')
    assert err == "reading\nnote: no histories\n"


def test_json_is_a_line_for_programs_and_a_tree_for_people(capsys):
    document = {"items": [1, 2], "title": "[bold]Ünïque"}
    print_json(document)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == document
    shown = at_a_terminal(f"print_json({document!r})")
    assert json.loads(shown) == document
    assert len(shown.splitlines()) > 4


def test_a_file_holds_lines_and_cells_whole(capsys):
    say(LONG)
    print_table("t", ["name", "text"], [["a", LONG]], left=("name", "text"))
    out = capsys.readouterr().out
    assert out.startswith(f"{LONG}\n")
    assert out.count(LONG) == 2
    assert "…" not in out


def test_text_is_never_markup_nor_emoji(capsys):
    say("[red]alarm[/red] :smile:")
    print_table("[b]title", ["[i]name"], [["[/nothing] :smile:"]])
    out = capsys.readouterr().out
    for shown in ("[red]alarm[/red] :smile:", "[b]title", "[i]name", "[/nothing] :smile:"):
        assert shown in out


def test_numbers_end_at_the_right_and_names_begin_at_the_left(capsys):
    print_table("t", ["scorer", "recall"], [["joint model", "1"], ["x", "0.25"]])
    rows = [line for line in capsys.readouterr().out.splitlines() if "1 " in line or "0.25" in line]
    assert [row.split("│")[1] for row in rows] == [" joint model ", " x           "]
    assert [row.split("│")[2] for row in rows] == ["      1 ", "   0.25 "]


@pytest.mark.parametrize(("line", "colour"), [("FAIL rule", "31"), ("WARN rule", "33")])
def test_verdicts_are_coloured_at_a_terminal_alone(capsys, line, colour):
    say_check(line)
    assert capsys.readouterr().out == f"{line}\n"
    assert f"\x1b[{colour}m{line}" in at_a_terminal(f"say_check({line!r})")
    assert "\x1b[" not in at_a_terminal("say_check('PASS rule')")


def test_a_remark_stands_above_the_bar():
    shown = at_a_terminal(
        "from unified_ranker.core.progress_display import ProgressDisplay\n"
        "from unified_ranker.core.progress import Progress, listening\n"
        "with listening(ProgressDisplay()), Progress('compare', 4, 'runs') as progress:\n"
        "    progress.advance()\n"
        "    remark('1 of 4  joint')\n"
        "    progress.advance()\n"
    )
    before, _, after = shown.partition("1 of 4  joint")
    assert before.endswith("\r"), "the bar was wiped out"
    assert "compare:" in after, "and drawn again below"
