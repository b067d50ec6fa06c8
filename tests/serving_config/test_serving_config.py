"""The files that an operator hands to TF Serving parse as its messages and agree with the declarations.

tensorflow-serving-api ships ModelServerConfig, but neither BatchingParameters nor MonitoringConfig; their forms are
declared here from TF Serving's session_bundle_config.proto and monitoring_config.proto.
"""

from pathlib import Path

import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

CONFIG = Path(__file__).parents[2] / "serving_config"
Field = descriptor_pb2.FieldDescriptorProto


def message(name: str, fields: list[tuple[str, int, int, str]]):
    """Build a message class from (name, label, type, type name) in order of their numbers."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(descriptor_pb2.FileDescriptorProto.FromString(wrappers_pb2.DESCRIPTOR.serialized_pb))
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{name}.proto", package="test", syntax="proto3", dependency=[wrappers_pb2.DESCRIPTOR.name]
    )
    form = file.message_type.add(name=name)
    for number, (field, label, kind, type_name) in enumerate(fields, start=1):
        form.field.add(name=field, number=number, label=label, type=kind, type_name=type_name or None)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"test.{name}"))


def test_models_config_names_the_model_that_the_release_and_the_client_use():
    from tensorflow_serving.config import model_server_config_pb2

    from unified_ranker.project.export_stage import MODEL_NAME

    for name, labels in (("models.config", {"stable", "canary"}), ("models-first.config", {"stable"})):
        text = (CONFIG / name).read_text()
        [model] = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
        assert model.name == MODEL_NAME
        assert model.model_platform == "tensorflow"
        assert set(model.version_labels) == labels
        assert set(model.version_labels.values()) <= set(model.model_version_policy.specific.versions), (
            "a label may only point at a version that is loaded"
        )


def test_the_embedded_server_reads_the_same_files():
    from unified_ranker.model_server.batching import BatchingParameters
    from unified_ranker.model_server.labels import read_models_config

    assert read_models_config(CONFIG / "models.config").labels == {"stable": 1, "canary": 2}
    assert BatchingParameters.read(CONFIG / "batching.txt").allowed_batch_sizes == (1, 8, 32)


def test_monitoring_config_turns_prometheus_on():
    prometheus = message(
        "Prometheus",
        [("enable", Field.LABEL_OPTIONAL, Field.TYPE_BOOL, ""), ("path", Field.LABEL_OPTIONAL, Field.TYPE_STRING, "")],
    )
    text = (CONFIG / "monitoring.config").read_text()
    inside = text[text.index("{") + 1 : text.rindex("}")]
    assert text.split("{")[0].split()[-1] == "prometheus_config"
    assert text_format.Parse(inside, prometheus()).enable


def test_batching_parameters_fit_the_warm_up():
    wrapped = (Field.LABEL_OPTIONAL, Field.TYPE_MESSAGE, ".google.protobuf.Int64Value")
    batching = message(
        "BatchingParameters",
        [
            (name, *wrapped)
            for name in ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
        ]
        + [
            ("allowed_batch_sizes", Field.LABEL_REPEATED, Field.TYPE_INT64, ""),
            ("pad_variable_length_inputs", Field.LABEL_OPTIONAL, Field.TYPE_BOOL, ""),
        ],
    )
    parsed = text_format.Parse((CONFIG / "batching.txt").read_text(), batching())
    sizes = list(parsed.allowed_batch_sizes)
    declared = yaml.safe_load((CONFIG.parent / "export" / "serving.yaml").read_text())
    assert sizes == sorted(declared["warmup_batch_sizes"])
    assert sizes[-1] == parsed.max_batch_size.value
    assert parsed.max_enqueued_batches.value == parsed.num_batch_threads.value
