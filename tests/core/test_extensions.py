"""Extensions: which files they consist of, where they are looked for, and whose text a process runs."""

import builtins
import sys
from types import ModuleType

import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.core.extensions import MissingExtensionError, extension_files, load_extensions
from unified_ranker.core.registry import Registry

NAMES = ("my_birds", "my_nests", "needy_birds", "far_birds", "my_feathers")
REGISTER = "import builtins\nbuiltins.test_birds.register('owl')(type('Owl', (), {'says': '%s'}))\n"


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path, monkeypatch):
    """Run in an empty directory, and forget what was imported."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in NAMES]:
        del sys.modules[name]


@pytest.fixture
def birds(monkeypatch):
    """A registry that modules of these tests reach."""
    made = Registry("bird")
    monkeypatch.setattr(builtins, "test_birds", made, raising=False)
    return made


def write(directory, **texts):
    """Write modules by name; `_in_` in a name is a folder, `init` the file of a package."""
    for name, text in texts.items():
        file = directory / f"{name.replace('_in_', '/').replace('/init', '/__init__')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return directory


def files(directory, *modules):
    return list(extension_files(modules, directory))


# --- the files of an extension ------------------------------------------------------------------------------------


def test_a_module_is_its_file_and_those_beside_it_that_it_imports(tmp_path):
    write(
        tmp_path,
        my_birds="import numpy\ndef later():\n    from my_nests import nest\n",
        my_nests="import my_feathers.soft as soft\n",
        my_feathers="",
        unrelated="",
    )
    assert files(tmp_path, "my_birds") == ["my_birds.py", "my_feathers.py", "my_nests.py"]
    assert files(tmp_path, "my_feathers", "unrelated") == ["my_feathers.py", "unrelated.py"]


def test_a_package_is_all_of_its_files_and_a_folder_its_python_files(tmp_path):
    write(tmp_path, my_birds_in_init="from . import owl", my_birds_in_owl="from my_nests.deep import nest")
    write(tmp_path, my_nests_in_deep_in_nest="")
    (tmp_path / "my_birds" / "names.txt").write_text("owl")
    (tmp_path / "my_birds" / "__pycache__").mkdir()
    (tmp_path / "my_birds" / "__pycache__" / "owl.pyc").write_bytes(b"")
    (tmp_path / "my_nests" / "events.parquet").write_text("much")
    of_package = ["my_birds/__init__.py", "my_birds/names.txt", "my_birds/owl.py", "my_nests/deep/nest.py"]
    assert files(tmp_path, "my_birds.owl") == of_package


def test_modules_that_import_each_other_are_each_read_once(tmp_path):
    write(tmp_path, my_birds="import my_nests", my_nests="import my_birds", my_feathers="")
    assert files(tmp_path, "my_feathers", "my_birds", "my_birds") == ["my_birds.py", "my_feathers.py", "my_nests.py"]


def test_what_is_installed_has_no_files_and_the_engine_is_never_one_of_them(tmp_path):
    write(tmp_path, my_birds="import unified_ranker.core", unified_ranker_in_init="")
    assert files(tmp_path, "my_birds", "numpy") == ["my_birds.py"]


def test_a_file_that_is_no_python_says_so_when_it_is_imported(tmp_path):
    write(tmp_path, my_birds="def")
    assert files(tmp_path, "my_birds") == ["my_birds.py"]
    with pytest.raises(SyntaxError):
        load_extensions(["my_birds"], tmp_path)


# --- where they are looked for ------------------------------------------------------------------------------------


def test_a_module_is_imported_once(tmp_path):
    write(tmp_path, my_birds="import builtins\nbuiltins.test_birds.append(1)\n")
    builtins.test_birds = []
    load_extensions(["my_birds"], tmp_path)
    load_extensions(["my_birds"], tmp_path)
    assert builtins.test_birds == [1]
    del builtins.test_birds


def test_the_directory_comes_before_the_search_path_and_that_before_the_current_directory(tmp_path, monkeypatch):
    for place in ("project", "path", "cwd"):
        write(tmp_path / place, my_birds=f"from_ = '{place}'")
    write(tmp_path / "path", my_nests="from_ = 'path'")
    write(tmp_path / "cwd", my_nests="from_ = 'cwd'", my_feathers="from_ = 'cwd'")
    monkeypatch.syspath_prepend(tmp_path / "path")
    load_extensions(["my_birds", "my_nests", "my_feathers"], tmp_path / "project")
    found = {name: sys.modules[name].from_ for name in ("my_birds", "my_nests", "my_feathers")}
    assert found == {"my_birds": "project", "my_nests": "path", "my_feathers": "cwd"}


def test_the_directory_stays_searched_for_imports_inside_functions_and_shadows_nothing(tmp_path, monkeypatch):
    write(tmp_path / "path", my_nests="from_ = 'path'")
    write(tmp_path / "project", my_birds="def later():\n    import my_feathers\n    return my_feathers", my_nests="")
    write(tmp_path / "project", my_feathers="from_ = 'project'")
    monkeypatch.syspath_prepend(tmp_path / "path")
    load_extensions(["my_birds"], tmp_path / "project")
    assert sys.modules["my_birds"].later().from_ == "project"
    import my_nests

    assert my_nests.from_ == "path"
    assert sys.path.count(str(tmp_path / "project")) == 1


def test_the_current_directory_is_searched_only_for_what_is_nowhere_else(tmp_path):
    write(tmp_path / "cwd", my_nests="from_ = 'cwd'")
    load_extensions(["my_birds"], write(tmp_path / "project", my_birds=""))
    assert str(tmp_path / "cwd") not in sys.path
    load_extensions(["my_nests"])
    assert sys.modules["my_nests"].from_ == "cwd"


def test_one_that_is_missing_is_named_with_where_it_was_looked_for(tmp_path):
    with pytest.raises(UserError) as caught:
        load_extensions(["no_such_birds"], tmp_path)
    assert str(caught.value) == (
        "must be modules that can be imported. Received: `no_such_birds`: there is no module `no_such_birds` "
        f"in `{tmp_path}`, on PYTHONPATH, among the installed packages or in the current directory `{tmp_path}/cwd`. "
        "Install it, or put its file beside project.yaml."
    )
    with pytest.raises(UserError, match="there is no module `no_such_birds` on PYTHONPATH, among"):
        load_extensions(["no_such_birds"])


def test_what_one_imports_and_lacks_is_named_too(tmp_path):
    write(tmp_path, needy_birds="import no_such_feathers\n")
    with pytest.raises(MissingExtensionError, match="`needy_birds`: there is no module `no_such_feathers`") as caught:
        load_extensions(["needy_birds"], tmp_path)
    assert (caught.value.extension, caught.value.missing) == ("needy_birds", "no_such_feathers")


# --- two directories with the same names --------------------------------------------------------------------------


def test_the_text_of_the_directory_that_was_loaded_last_is_registered(tmp_path, birds):
    one, other = (write(tmp_path / says, my_birds=REGISTER % says) for says in ("hoots", "barks"))
    load_extensions(["my_birds"], one)
    first = birds["owl"]
    load_extensions(["my_birds"], other)
    assert (first.says, birds["owl"].says) == ("hoots", "barks")
    load_extensions(["my_birds"], one)
    assert birds["owl"].says == "hoots"


def test_the_same_text_elsewhere_is_the_same_module(tmp_path, birds):
    one, other = (write(tmp_path / place, my_birds=REGISTER % "hoots") for place in ("a", "b"))
    load_extensions(["my_birds"], one)
    first = birds["owl"]
    load_extensions(["my_birds"], other)
    assert birds["owl"] is first


def test_a_module_whose_helper_has_another_text_is_imported_again(tmp_path):
    for says in ("hoots", "barks"):
        write(tmp_path / says, my_birds="from my_nests import says", my_nests=f"says = '{says}'")
    load_extensions(["my_birds"], tmp_path / "hoots")
    load_extensions(["my_birds"], tmp_path / "barks")
    assert sys.modules["my_birds"].says == "barks"


@pytest.mark.parametrize("changed", ["my_birds_in_init", "my_birds_in_owl"])
def test_a_package_of_which_one_file_has_another_text_is_imported_again(tmp_path, changed):
    texts = {"my_birds_in_init": "from my_birds.owl import says", "my_birds_in_owl": "says = 'hoots'"}
    load_extensions(["my_birds"], write(tmp_path / "one", **texts))
    before = sys.modules["my_birds"]
    load_extensions(["my_birds"], write(tmp_path / "same", **texts))
    assert sys.modules["my_birds"] is before
    load_extensions(["my_birds"], write(tmp_path / "other", **texts | {changed: texts[changed] + "\nnew = 1"}))
    assert sys.modules[changed.replace("_in_init", "").replace("_in_", ".")].new == 1


def test_a_file_that_was_edited_is_imported_again_and_what_it_no_longer_registers_is_gone(tmp_path, birds):
    write(tmp_path, my_birds=REGISTER % "hoots")
    load_extensions(["my_birds"], tmp_path)
    assert "owl" in birds
    write(tmp_path, my_birds="")
    load_extensions(["my_birds"], tmp_path)
    assert "owl" not in birds


def test_a_module_that_somebody_else_imported_gives_way_to_another_text_only(tmp_path, monkeypatch):
    write(tmp_path / "path", my_birds="says = 'path'", my_nests="says = 'same'")
    write(tmp_path / "project", my_birds="says = 'project'")
    write(tmp_path / "other", my_nests="says = 'same'")
    monkeypatch.syspath_prepend(tmp_path / "path")
    import my_birds  # noqa: F401
    import my_nests

    load_extensions(["my_birds"], tmp_path / "project")
    load_extensions(["my_nests"], tmp_path / "other")
    assert sys.modules["my_birds"].says == "project"
    assert sys.modules["my_nests"] is my_nests


def test_a_module_whose_text_is_not_known_gives_way(tmp_path, monkeypatch):
    """It was imported from a file that is gone, or from none."""
    project = write(tmp_path / "project", my_birds="says = 'project'", my_nests="says = 'project'")
    write(tmp_path / "path", my_birds="says = 'gone'")
    monkeypatch.syspath_prepend(tmp_path / "path")
    import my_birds

    (tmp_path / "path" / "my_birds.py").unlink()
    sys.modules["my_nests"] = ModuleType("my_nests")
    load_extensions(["my_birds"], project)
    load_extensions(["my_nests"], project)
    assert my_birds.says == "gone"
    assert [sys.modules[name].says for name in ("my_birds", "my_nests")] == ["project", "project"]
