"""Version labels, and TF Serving's model configuration file that assigns them."""

from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf import text_format

from unified_ranker.core.errors import UserError


@dataclass(frozen=True)
class ModelConfig:
    """Entry of a `models.config` for one model.

    Attributes:
        name: the name that requests give.
        base_path: directory of the versions, as written in the file.
        versions: numbers of the versions to serve; empty: the newest ones.
        latest: number of the newest versions to serve where `versions` is empty.
        labels: version number by label.
    """

    name: str
    base_path: str
    versions: tuple[int, ...] = ()
    latest: int = 1
    labels: dict[str, int] = field(default_factory=dict)

    def wanted(self, found: dict[int, Path]) -> dict[int, Path]:
        """Return the versions to serve among those that were found, ascending."""
        if self.versions:
            return {version: found[version] for version in self.versions if version in found}
        return dict(list(found.items())[-self.latest :])


def read_models_config(file: Path) -> ModelConfig:
    """Read TF Serving's `--model_config_file`, which must name one model.

    Raises:
        UserError: `file` cannot be read, or names no model or several.
    """
    from tensorflow_serving.config import model_server_config_pb2

    try:
        text = file.read_text(encoding="utf-8")
        parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise UserError(f"`{file}` must be a text proto of ModelServerConfig. Received: {error}.") from error
    models = parsed.model_config_list.config
    if len(models) != 1:
        raise UserError(
            f"`{file}` must name one model. Received: {len(models)}. For several, use `tensorflow/serving`."
        )
    [model] = models
    policy = model.model_version_policy
    if policy.WhichOneof("policy_choice") == "all":
        versions, latest = (), 10**9
    else:
        versions, latest = tuple(sorted(policy.specific.versions)), policy.latest.num_versions or 1
    return ModelConfig(model.name, model.base_path, versions, latest, dict(model.version_labels))
