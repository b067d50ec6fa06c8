"""The command line as a user meets it: help, version, exit codes, what goes to which stream."""

import json
import logging
import math
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import pytest
import typer
from small_project import cli, write_project

import unified_ranker
from unified_ranker.cli import app
from unified_ranker.core.errors import UserError

SCRIPT = Path(sys.executable).with_name("unified-ranker")
GROUP = typer.main.get_command(app)
COMMANDS = sorted(GROUP.commands)
STAGES = ("train", "evaluate", "export", "build")


def run(*arguments, **options):
    """Run the console script, as installed."""
    command = [str(SCRIPT), *(str(a) for a in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_the_console_script_is_installed_and_tells_its_version():
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{unified_ranker.__version__}\n", "")


def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "unified_ranker", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{unified_ranker.__version__}\n")


def test_options_of_two_commands_that_mean_two_things_have_two_helps():
    """`--tasks` trains a model for tasks, and names a trained model elsewhere."""
    helps = {name: next(p.help for p in GROUP.commands[name].params if "--tasks" in p.opts) for name in STAGES}
    assert helps["train"] == helps["build"] != helps["evaluate"] == helps["export"]


def test_the_commands_of_the_design_are_there():
    stages = {"init", "validate", "prepare", "train", "evaluate", "export", "verify", "build"}
    assert set(COMMANDS) >= stages | {"recommend", "serve", "model-server"}


def test_help_names_every_command():
    shown = run("--help")
    assert shown.returncode == 0
    for name in COMMANDS:
        assert f" {name} " in shown.stdout
    assert run().stdout.split() == shown.stdout.split()


def all_commands(group=GROUP, above=()):
    """Every command with its full name, those of groups and the groups themselves included."""
    for name, command in group.commands.items():
        yield (*above, name), command
        if hasattr(command, "commands"):
            yield from all_commands(command, (*above, name))


@pytest.mark.parametrize(
    ("words", "command"), all_commands(), ids=lambda value: " ".join(value) if type(value) is tuple else ""
)
def test_every_command_has_help_with_an_example(words, command):
    """Examples name the command, or one of its group, and only options that it has."""
    shown = cli(*words, "--help")
    assert shown.exit_code == 0
    assert "Example: `" in command.help
    assert command.help.split("\n\n")[0].strip().endswith("."), "the first line is a sentence"
    examples = [part.split("`")[1] for part in command.help.split("Example: ")[1:]]
    for example in examples:
        called = example.split()
        assert called[: 1 + len(words)] == ["unified-ranker", *words]
        assert called[1 + len(words)] in shown.stdout
        inner = command.commands[called[1 + len(words)]] if hasattr(command, "commands") else command
        known = {flag for parameter in inner.params for flag in parameter.opts}
        assert {word for word in called if word.startswith("--")} <= known
    for parameter in command.params:
        assert parameter.help or parameter.name == "help", f"{parameter.name} has no help"


def test_commands_stand_in_the_order_of_the_work_and_in_panels():
    shown = cli("--help").stdout
    places = [shown.index(f"│ {name} ") for name in ("init", "build", "compare", "recommend", "store", "simulate")]
    assert places == sorted(places)
    for panel in ("Building a release", "Comparing and tuning", "Answering requests", "Publishing vectors"):
        assert panel in shown


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom unified_ranker.cli import app\n"
        "app(sys.argv[1:], standalone_mode=False)\nprint(*sorted(sys.modules), file=sys.stderr)"
    )
    heavy = {"numpy", "pandas", "pyarrow", "tensorflow", "scann", "apache_beam", "yaml", "unified_ranker.config"}
    for arguments in (["--help"], ["build", "--help"], ["store", "get", "--help"], ["--version"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        assert heavy.isdisjoint(done.stderr.split()), arguments


def test_a_mistake_goes_to_standard_error_with_exit_code_2(tmp_path):
    done = run("validate", "--project", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: `")
    assert len(done.stderr.splitlines()) == 1


def test_an_unknown_command_has_the_nearest_one():
    shown = cli("biuld")
    assert shown.exit_code == 2
    assert "build" in shown.stderr


def test_validate_without_faults_ends_well(tmp_path):
    shown = cli("validate", "--project", write_project(tmp_path))
    assert shown.exit_code == 0
    *lines, summary = shown.stdout.splitlines()
    verdicts = [line.split()[0] for line in lines]
    assert set(verdicts) == {"PASS", "WARN"}
    assert summary == f"{len(lines)} checks, 0 failed, {verdicts.count('WARN')} warnings"
    assert [line for line in shown.stdout.splitlines() if line.startswith("WARN") and "`pre_query`" in line]


def test_the_project_is_the_current_directory_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(write_project(tmp_path))
    assert cli("validate").exit_code == 0


def test_json_is_json(tmp_path):
    project = write_project(tmp_path)
    checks = json.loads(cli("validate", "--project", project, "--json").stdout)
    assert all(not check["failed"] for check in checks)
    made = json.loads(cli("prepare", "--project", project, "--json").stdout)
    assert made["skipped"] is False
    assert Path(made["output"]) == project / ".unified_ranker" / "prepare"
    assert json.loads(cli("prepare", "--project", project, "--json").stdout)["skipped"] is True


def test_prepare_says_what_it_made_and_when_there_is_nothing_to_do(tmp_path):
    project = write_project(tmp_path)
    first, second = cli("prepare", "--project", project), cli("prepare", "--project", project)
    assert "1,500 events, 40 items, 60 users" in first.stdout
    assert "up to date" not in first.stdout
    assert "up to date" in second.stdout
    assert "up to date" not in cli("prepare", "--project", project, "--force").stdout


def test_verbose_logs_to_standard_error(tmp_path):
    project = write_project(tmp_path)
    quiet, loud = run("prepare", "--project", project), run("-v", "prepare", "--project", project, "--force")
    assert quiet.stderr == ""
    assert "INFO unified_ranker.project.run_stage: prepare:" in loud.stderr
    assert "INFO" not in loud.stdout


def test_init_writes_a_project_that_validates(tmp_path):
    """The bridge from tables to a build; what it writes is tested with `init_project`."""
    project = write_project(tmp_path / "tables")
    tables = {name: project / "data" / name for name in ("events.parquet", "items.csv", "users.csv")}
    shown = cli(
        "init", tmp_path / "new", "--events", tables["events.parquet"], "--items", tables["items.csv"],
        "--users", tables["users.csv"],
    )  # fmt: skip
    assert shown.exit_code == 0
    assert f"unified-ranker build --project {tmp_path / 'new'}" in shown.stdout.replace("\n", "")
    assert cli("validate", "--project", tmp_path / "new").exit_code == 0


def test_verify_names_what_is_no_release(tmp_path):
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "manifest.json").write_text("{}")
    shown = cli("verify", tmp_path / "4")
    assert shown.exit_code == 2
    assert "is no release" in shown.stderr
    assert "Releases there: 3" in shown.stderr


def test_an_interrupt_ends_with_exit_code_130(tmp_path, monkeypatch):
    """It comes while a module of the project is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    project = write_project(tmp_path)
    (project / "halting.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    with (project / "project.yaml").open("a") as file:
        file.write("extensions: [halting]\n")
    shown = cli("build")
    assert shown.exit_code == 130
    assert shown.stderr.startswith("\ninterrupted;")
    assert "Traceback" not in shown.stderr


@pytest.fixture(autouse=True)
def quiet_logging():
    """`basicConfig` is called in this process by every command."""
    yield
    logging.getLogger().setLevel(logging.WARNING)


def test_the_makefile_calls_commands_that_exist():
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    root = Path(__file__).parents[2]
    shown = subprocess.run(
        ["make", "--dry-run", "--always-make", "quickstart"], cwd=root, capture_output=True, text=True, check=True
    )
    lines = [line for line in shown.stdout.splitlines() if "/unified-ranker " in line]
    called = [line.split("/unified-ranker ")[1].split() for line in lines]
    names = {words[0] for words in called}
    assert {"build", "recommend", "serve", "init"} <= names <= set(COMMANDS)
    tasks = [words[words.index("--task") + 1] for words in called if "--task" in words]
    assert sorted(tasks) == ["home_feed", "more_like_this", "search"]


def numbers(application=app):
    """Every option and argument that is a number, with its command."""
    for group in application.registered_groups:
        yield from numbers(group.typer_instance)
    for command in application.registered_commands:
        for name, hint in typing.get_type_hints(command.callback).items():
            if {int, float} & {hint, *typing.get_args(hint)}:
                yield command, name


@pytest.mark.parametrize("number", [10**400, -(10**400), math.inf, -math.inf, math.nan])
def test_no_command_takes_a_number_out_of_bounds(number):
    """Before anything else of the command runs: Typer itself lets all of these pass."""
    found = list(numbers())
    assert len(found) > 30
    for command, name in found:
        with pytest.raises(UserError, match=f"`{name.replace('_', '-')}` must be a number from -4,294,967,295 to"):
            command.callback(**{name: number})


def test_a_number_out_of_bounds_is_one_line():
    shown = cli("store", "get", "nowhere", "item", "a", "--version", "1" + "0" * 400)
    assert (shown.exit_code, shown.stderr.count("\n")) == (2, 1)
    assert "`version` must be a number from" in shown.stderr
