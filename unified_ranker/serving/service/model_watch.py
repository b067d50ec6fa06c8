"""Model watch: asks each second whether the models in service can answer, for the probes and the metrics."""

from unified_ranker.serving.backends.base import STATE_AVAILABLE, ModelBackendError
from unified_ranker.serving.service.ranking_service import RankingService
from unified_ranker.serving.service.repeating import Repeating

_SECONDS = 1.0


class ModelWatch(Repeating):
    """Thread that notes the state of each model, so that a probe of the process need not wait for a model server.

    Args:
        service: whose models are asked.
    """

    def __init__(self, service: RankingService) -> None:
        super().__init__("model-watch", _SECONDS, service.metrics)
        self._service = service

    def look(self) -> None:
        """Ask every model once."""
        for engine in list(self._service.engines.values()):
            try:
                engine.model_state = self._service.state_of(engine)
            except ModelBackendError as error:
                engine.model_state = error.reason
            self._service.metrics.model_up.labels(engine.label).set(engine.model_state == STATE_AVAILABLE)
        # A canary may have ended meanwhile.
        self._service.metrics.keep_labels(self._service.engines)
