"""Registry of an extension point, and how modules of others come into it."""

import sys

import pytest

from unified_ranker.core import registry
from unified_ranker.core.errors import UserError
from unified_ranker.core.registry import Registry, forget_registered


@pytest.fixture
def birds():
    made = Registry("bird")
    made.add("owl", "hoots")
    made.add("wren", "sings")
    return made


def test_implementations_are_found_by_name_in_order_of_registration(birds):
    assert birds["owl"] == "hoots"
    assert list(birds) == ["owl", "wren"]
    assert birds.items() == (("owl", "hoots"), ("wren", "sings"))
    assert "wren" in birds
    assert len(birds) == 2


def test_an_unknown_name_gives_the_known_ones_and_the_nearest(birds):
    with pytest.raises(UserError, match=r"unknown bird `owll`. Known: `owl`, `wren`. Did you mean `owl`"):
        birds["owll"]


def test_a_decorator_registers_and_returns_what_it_decorates(birds):
    @birds.register("crow")
    class Crow:
        pass

    assert birds["crow"] is Crow


def test_a_name_is_taken_once_but_may_be_defined_again(birds):
    with pytest.raises(ValueError, match=r"bird `owl` is registered already, as 'hoots'. Received: 'barks'"):
        birds.add("owl", "barks")

    def crow(sound):
        class Crow:
            says = sound

        return Crow

    birds.add("crow", crow("caw"))
    birds.add("crow", crow("kraa"))
    assert birds["crow"].says == "kraa"


def test_another_of_the_name_is_refused_by_where_both_were_defined(birds):
    class Crow:
        pass

    class Raven:
        pass

    birds.add("crow", Crow)
    with pytest.raises(ValueError, match=rf"`crow` is registered already, as {__name__}\..*\.Crow\. .*\.Raven\."):
        birds.add("crow", Raven)
    # Objects have a module and no name of their own: two of one class are two.
    birds.add("jay", Crow())
    with pytest.raises(ValueError, match="registered already"):
        birds.add("jay", Crow())


def test_what_has_a_name_by_itself_is_declared_by_it():
    named = Registry("bird", name_of=lambda bird: bird.called)

    @named.declare
    class Crow:
        called = "crow"

    assert named["crow"] is Crow
    assert Crow.called == "crow"
    with pytest.raises(TypeError, match=r"a bird has no name of its own\. Use `register\(name\)`\."):
        Registry("bird").declare(Crow)


def test_what_is_removed_is_unknown(birds):
    birds.remove("owl")
    assert list(birds) == ["wren"]


def test_what_a_module_defines_is_forgotten_in_every_registry(birds):
    class Crow:
        pass

    class Raven:
        pass

    nests = Registry("nest")
    Raven.__module__ = "other_birds"
    birds.add("crow", Crow)
    birds.add("raven", Raven)
    nests.add("crow's", Crow())
    forget_registered({__name__})
    assert list(birds) == ["owl", "wren", "raven"]
    assert list(nests) == []


# --- modules of others --------------------------------------------------------------------------------------------


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes a module into the current directory and forgets it afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    names = []

    def write(name, text):
        names.append(name)
        (tmp_path / f"{name}.py").write_text(text)

    yield write
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def installed(module, tmp_path, monkeypatch, birds):
    """Installs a distribution whose extension is the given module, beside which its metadata lies."""
    monkeypatch.setitem(sys.modules, "__birds__", birds)
    monkeypatch.setattr(registry, "_loaded_entry_points", set())

    def install(name, text, *entries):
        module(name, text)
        metadata = tmp_path / f"all_{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: all_{name}\nVersion: 1.0\n")
        lines = [f"birds {n} = {entry}\n" for n, entry in enumerate(entries or [name])]
        (metadata / "entry_points.txt").write_text(f"[{registry.ENTRY_POINTS}]\n{''.join(lines)}")
        monkeypatch.syspath_prepend(tmp_path)

    return install


KIWI = "import sys\nsys.modules['__birds__'].add('kiwi', 'walks')\n"


def error_of(birds, name):
    with pytest.raises(UserError) as caught:
        birds[name]
    return str(caught.value)


LOOKS = {
    "by name": lambda birds: birds["kiwi"] == "walks",
    "contained": lambda birds: "kiwi" in birds,
    "listed": lambda birds: [*birds] == ["owl", "wren", "kiwi"],
    "items": lambda birds: ("kiwi", "walks") in birds.items(),
    "counted": lambda birds: len(birds) == 3,
    "named by an error": lambda birds: "`kiwi`" in error_of(birds, "emu"),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_what_an_installed_package_brings_is_found_in_every_way(installed, birds, look):
    installed("far_birds", KIWI)
    assert look(birds)
    assert registry.loaded_entry_points() == ("far_birds",)


def test_installed_packages_are_not_imported_for_a_name_that_is_known(installed, birds):
    installed("far_birds", KIWI)
    assert birds["owl"] == "hoots"
    assert "owl" in birds
    assert "far_birds" not in sys.modules


def test_an_extension_is_imported_once(installed, birds):
    installed("far_birds", "import sys\nbirds = sys.modules['__birds__']\nbirds.add(f'kiwi {len(birds)}', 'walks')\n")
    assert [*birds] == [*birds] == ["owl", "wren", "kiwi 2"]
    for name in ("emu", "rhea"):
        with pytest.raises(UserError, match="unknown bird"):
            birds[name]


def test_an_installed_extension_that_cannot_be_imported_is_named_every_time(installed, birds):
    installed("far_birds", "import no_such_module")
    for _ in range(2):
        with pytest.raises(UserError, match="`far_birds` of the installed package `all_far_birds` cannot be imp"):
            list(birds)


def test_a_module_is_known_by_its_name_however_many_of_its_objects_are_extensions(installed, birds):
    installed("far_birds", f"{KIWI}class Emu: pass\nclass Rhea: pass\n", "far_birds:Emu", "far_birds:Rhea")
    installed("a_bird", "")
    assert "kiwi" in birds
    assert registry.loaded_entry_points() == ("a_bird", "far_birds")
