"""What a project declares, as frozen models: one class per file or block of the declarations.

`unified_ranker.declarations` reads the YAML files into these and words the errors. Every object forbids unknown keys,
and every choice between kinds is a discriminated union on `type`, so that an error can name what is allowed.
"""

from unified_ranker.config.base import Declaration
from unified_ranker.config.export import AutoIndex, Embeddings, ExactIndex, Export, ScannIndex, Serving
from unified_ranker.config.features import (
    CategoriesFeature,
    CategoryFeature,
    Freshness,
    ItemFeature,
    MeanValue,
    NumberFeature,
    Popularity,
    QualityFeature,
    TextFeature,
    UserFeature,
)
from unified_ranker.config.project import Evaluation, MovieLensSource, Project, Split, TablesSource, Training
from unified_ranker.config.signals import Lexical, Signal, SourcePairs, Successions
from unified_ranker.config.tasks import (
    RESERVED_OUTPUTS,
    AllItems,
    Imputation,
    Negatives,
    Positive,
    SampledItems,
    Task,
    TaskServing,
)
from unified_ranker.config.text import DistilledText, HashedText, TextEncoding, TextPairs, TransformerText
from unified_ranker.config.towers import (
    ContextField,
    ContextTower,
    Hstu,
    ItemTower,
    NextK,
    Ranker,
    Towers,
    Transformer,
    UserTower,
)
from unified_ranker.config.whole import Config

__all__ = [
    "RESERVED_OUTPUTS",
    "AllItems",
    "AutoIndex",
    "CategoriesFeature",
    "CategoryFeature",
    "Config",
    "ContextField",
    "ContextTower",
    "Declaration",
    "DistilledText",
    "Embeddings",
    "Evaluation",
    "ExactIndex",
    "Export",
    "Freshness",
    "HashedText",
    "Hstu",
    "Imputation",
    "ItemFeature",
    "ItemTower",
    "Lexical",
    "MeanValue",
    "MovieLensSource",
    "Negatives",
    "NextK",
    "NumberFeature",
    "Popularity",
    "Positive",
    "Project",
    "QualityFeature",
    "Ranker",
    "SampledItems",
    "ScannIndex",
    "Serving",
    "Signal",
    "SourcePairs",
    "Split",
    "Successions",
    "TablesSource",
    "Task",
    "TaskServing",
    "TextEncoding",
    "TextFeature",
    "TextPairs",
    "Towers",
    "Training",
    "Transformer",
    "TransformerText",
    "UserFeature",
    "UserTower",
]
