"""Serving files of a new project: the repository's serving_config/, under the project's own name."""

from pathlib import Path

from unified_ranker.core.errors import UserError

SERVING_DIRECTORY = "serving_config"
SOURCE = Path(__file__).parent / SERVING_DIRECTORY
"""Directory of the files: in the repository a link to serving_config/, in a wheel a copy of it."""

PATTERNS = (
    "*.config", "batching.txt", "docker-compose.yaml", "service.Dockerfile*", "requirements/*.txt", "k8s/*.yaml",
    "prometheus/*.yaml", "grafana/**/*.yaml", "grafana/**/*.json",
)  # fmt: skip
"""Files that are copied. An operator's own files may be beside them, such as tokens and models."""

_COMPOSE = "docker-compose.yaml"
_COMPOSE_NAME = "\nname: unified-ranker\n"


def serving_texts(name: str, source: Path = SOURCE) -> dict[str, str]:
    """Return the files of serving_config/ by their paths in a project.

    Args:
        name: the project's. Compose names volumes after it, so that two projects on one machine do not share a Redis.
        source: directory of the files.

    Raises:
        UserError: the installation lacks the files.
    """
    files = sorted({file for pattern in PATTERNS for file in source.glob(pattern)})
    texts = {
        f"{SERVING_DIRECTORY}/{file.relative_to(source).as_posix()}": file.read_text(encoding="utf-8") for file in files
    }
    compose = texts.get(f"{SERVING_DIRECTORY}/{_COMPOSE}", "")
    if _COMPOSE_NAME not in compose:
        raise UserError(f"`{source}` must hold the serving files of this version. Install unified_ranker again.")
    texts[f"{SERVING_DIRECTORY}/{_COMPOSE}"] = compose.replace(_COMPOSE_NAME, f"\nname: {name}\n")
    return texts
