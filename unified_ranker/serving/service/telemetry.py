"""Traces by OpenTelemetry, where its packages are installed and `OTEL_EXPORTER_OTLP_ENDPOINT` is set.

Without them a span costs one function call.
"""

import contextlib
import os
from collections.abc import Mapping
from typing import Any

from unified_ranker.core.extras import require_extra

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_NOTHING = contextlib.nullcontext()
_state: dict[str, Any] = {"tracer": None}


def start_tracing() -> bool:
    """Send spans to the collector that the environment names; tells whether there is one.

    Raises:
        UserError: it names one, and OpenTelemetry is not installed.
    """
    if not os.environ.get(ENDPOINT):
        return False
    require_extra("traces", f"`{ENDPOINT}`, which is set,", f"or unset `{ENDPOINT}`")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "unified-ranker"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace_with(provider)
    return True


def trace_with(provider: Any) -> None:
    """Make spans with a tracer provider; None stops it."""
    _state["tracer"] = None if provider is None else provider.get_tracer("unified_ranker")


def span(name: str, attributes: Mapping[str, Any] | None = None) -> contextlib.AbstractContextManager[Any]:
    """Return a span around a piece of work."""
    tracer = _state["tracer"]
    return _NOTHING if tracer is None else tracer.start_as_current_span(name, attributes=attributes)
