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
        base_path: holds the versions; as it stands in the file.
        versions: those that are served; none: the newest.
        latest: how many of the newest are served, where no `versions` are named.
        labels: version by label.
    """

    name: str
    base_path: str
    versions: tuple[int, ...] = ()
    latest: int = 1
    labels: dict[str, int] = field(default_factory=dict)

    def wanted(self, found: dict[int, Path]) -> dict[int, Path]:
        """Return those of the versions that were found, ascending, which are to be served."""
        if self.versions:
            return {version: found[version] for version in self.versions if version in found}
        return dict(list(found.items())[-self.latest :])


def read_models_config(file: Path) -> ModelConfig:
    """Read TF Serving's `--model_config_file`, which must name one model.

    Raises:
        UserError: it cannot be read, or names none or several models, or a policy that is not known here.
    """
    from tensorflow_serving.config import model_server_config_pb2

    try:
        text = file.read_text(encoding="utf-8")
        parsed = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise UserError(f"`{file}` must be a text proto of ModelServerConfig. Received: {error}.") from error
    models = parsed.model_config_list.config
    if len(models) != 1:
        raise UserError(f"`{file}` must name one model. Received: {len(models)}. A fleet runs `tensorflow/serving`.")
    [model] = models
    policy = model.model_version_policy
    if policy.WhichOneof("policy_choice") == "all":
        versions, latest = (), 10**9
    else:
        versions, latest = tuple(sorted(policy.specific.versions)), policy.latest.num_versions or 1
    return ModelConfig(model.name, model.base_path, versions, latest, dict(model.version_labels))
