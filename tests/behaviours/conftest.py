"""Places for the suites of stores: each test has a new one, of every scheme that is registered."""

import own_extensions
import pytest
from redis_process import REDIS, RedisProcess

from unified_ranker.core.places import DIRECTORY


@pytest.fixture(scope="module")
def redis_process(tmp_path_factory):
    if REDIS is None:
        pytest.skip("there is no redis-server on this machine; apt install redis-server")
    server = RedisProcess(tmp_path_factory.mktemp("redis"), "--enable-debug-command", "local")
    yield server
    server.kill()


@pytest.fixture
def place(request, tmp_path):
    """A new place of the scheme that the suite is parametrised with; of an unknown one, a path behind it."""
    if request.param == DIRECTORY:
        return str(tmp_path / "store")
    if request.param == "redis":
        return request.getfixturevalue("redis_process").url(f"{tmp_path.name}:")
    return f"{request.param}://{tmp_path / 'store'}"


def pytest_generate_tests(metafunc):
    """Parametrise `place` over the schemes of the module's `REGISTRY`, each implementation once."""
    if "place" in metafunc.fixturenames and hasattr(metafunc.module, "REGISTRY"):
        first = {}
        for scheme, opener in metafunc.module.REGISTRY.items():
            first.setdefault(opener, scheme)
        own = [metafunc.module.SCHEME] if hasattr(metafunc.module, "SCHEME") else []
        metafunc.parametrize("place", [*first.values(), *own], indirect=True)


@pytest.fixture(scope="module", autouse=True)
def extension(request):
    """Register the extension that a suite names as its `EXTENSION`, an implementation of somebody else."""
    with own_extensions.forgotten_afterwards():
        if hasattr(request.module, "EXTENSION"):
            own_extensions.load(request.module.EXTENSION)
        yield
