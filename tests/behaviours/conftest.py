"""Places for the suites of stores and sources, and the extensions whose implementations the suites try."""

import own_extensions
import pytest

from unified_ranker.core.places import DIRECTORY


@pytest.fixture
def place(request, extensions, tmp_path):
    """A new place of the scheme that the suite is parametrised with.

    An extension chooses it by its function `new_place(scheme, directory)`; without one it is a path behind the scheme.
    """
    scheme = request.param
    if scheme == DIRECTORY:
        return str(tmp_path / "store")
    if scheme == "redis":
        return request.getfixturevalue("redis_process").url(f"{tmp_path.name}:")
    if chosen := own_extensions.brought(extensions, "new_place"):
        return chosen(scheme, tmp_path)
    return f"{scheme}://{tmp_path / 'store'}"


def pytest_generate_tests(metafunc):
    """Parametrise `place` over the schemes of the module's `REGISTRY`, each implementation once."""
    if "place" in metafunc.fixturenames and hasattr(metafunc.module, "REGISTRY"):
        first = {}
        for scheme, opener in metafunc.module.REGISTRY.items():
            first.setdefault(opener, scheme)
        own = [metafunc.module.SCHEME] if hasattr(metafunc.module, "SCHEME") else []
        metafunc.parametrize("place", [*first.values(), *own], indirect=True)


@pytest.fixture(scope="module")
def extensions(request):
    """Modules of the extensions that a suite tries: the example that it names as its `EXTENSION`, and those given."""
    example = [request.module.EXTENSION] if hasattr(request.module, "EXTENSION") else []
    return (*example, *request.config.getoption("extension"))


@pytest.fixture(scope="module", autouse=True)
def example(request):
    """Register the example that a suite names as its `EXTENSION`, an implementation of somebody else."""
    with own_extensions.forgotten_afterwards():
        if hasattr(request.module, "EXTENSION"):
            own_extensions.load(request.module.EXTENSION)
        yield
