"""Declarations of a project, as frozen models: one class per file or block of the declarations.

`config.loading` reads the YAML files into these and words the errors. Every object forbids unknown keys,
and every choice between kinds is a discriminated union on `type`, so that an error can name what is allowed.
"""

from unified_ranker.config.declaration import Declaration
from unified_ranker.config.export_files import (
    Embeddings,
    Export,
    Guards,
    QueryVectorExport,
    Serving,
    UserVectorExport,
    VectorStore,
)
from unified_ranker.config.feature_columns import (
    ItemFeature,
    UserFeature,
)
from unified_ranker.config.project_file import (
    EvaluationSettings,
    MovieLensSource,
    ProjectFile,
    SplitShares,
    TrainingSettings,
)
from unified_ranker.config.table_sources import (
    ColumnMap,
    ColumnMaps,
    ColumnSource,
    TableSource,
    TablesSource,
)
from unified_ranker.config.task_files import (
    Imputation,
    Positive,
    Task,
    TaskServing,
)
from unified_ranker.config.tower_files import (
    ContextField,
    ContextTower,
    Hstu,
    ItemTower,
    NextK,
    RankerSettings,
    Towers,
    Transformer,
    UserTower,
)
from unified_ranker.config.whole import Config, digest_of

__all__ = [
    "ColumnMap",
    "ColumnMaps",
    "ColumnSource",
    "Config",
    "ContextField",
    "ContextTower",
    "Declaration",
    "Embeddings",
    "EvaluationSettings",
    "Export",
    "Guards",
    "Hstu",
    "Imputation",
    "ItemFeature",
    "ItemTower",
    "MovieLensSource",
    "NextK",
    "Positive",
    "ProjectFile",
    "QueryVectorExport",
    "RankerSettings",
    "Serving",
    "SplitShares",
    "TableSource",
    "TablesSource",
    "Task",
    "TaskServing",
    "Towers",
    "TrainingSettings",
    "Transformer",
    "UserFeature",
    "UserTower",
    "UserVectorExport",
    "VectorStore",
    "digest_of",
]
