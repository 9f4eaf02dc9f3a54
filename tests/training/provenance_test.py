import dataclasses
import json
import re
import types
from importlib import metadata

import pytest

from configs import digits
from entrannas_tf.config import common as common_config
from entrannas_tf.config import schema
from entrannas_tf.config import search as search_config
from entrannas_tf.training import provenance

CONFIG = schema.read(search_config.Config, digits.get_config())


def change(path, value):
    values = digits.get_config()
    values.unlock()
    values.update_from_flattened_dict({path: value})
    return schema.read(search_config.Config, values)


@pytest.mark.parametrize(
    ("system", "reported"), [("Linux", 3 * 2**10), ("Darwin", 3 * 2**20)]
)
def test_peak_memory_is_in_mib(system, reported, monkeypatch):
    """Linux reports it in KiB, macOS in bytes."""
    usage = types.SimpleNamespace(ru_maxrss=reported)
    monkeypatch.setattr(provenance.resource, "getrusage", lambda who: usage)
    monkeypatch.setattr(provenance.platform, "system", lambda: system)
    assert provenance.peak_memory_mib() == 3


def test_hash_is_stable():
    """Does not vary with the process, the order of fields or 1 for 1.0."""
    digest = provenance.config_hash(CONFIG)
    assert re.fullmatch("[0-9a-f]{12}", digest)
    values = dataclasses.asdict(CONFIG)
    turned = dict(reversed(values.items()))
    again = schema.read(search_config.Config, turned)
    assert provenance.config_hash(again) == digest
    one, also_one = (
        change("search.gradient_clip_norm", value) for value in (1, 1.0)
    )
    assert provenance.config_hash(one) == provenance.config_hash(also_one)


def test_every_field_counts():
    flat = schema.flatten(dataclasses.asdict(CONFIG))
    hashes = {provenance.config_hash(CONFIG)}
    for path, value in flat.items():
        other = f"{value}x" if isinstance(value, str) else not value
        if isinstance(value, int | float) and not isinstance(value, bool):
            other = value + 1
        if isinstance(value, tuple):
            other = (*value, 1)
        sections = dataclasses.asdict(CONFIG)
        *parents, name = path.split(".")
        section = sections
        for parent in parents:
            section = section[parent]
        section[name] = other
        made = dataclasses.replace(
            CONFIG,
            **{k: v for k, v in sections.items() if not isinstance(v, dict)},
            data=search_config.DataConfig(**sections["data"]),
            network=search_config.NetworkConfig(**sections["network"]),
            search=search_config.SearchConfig(**sections["search"]),
            progressive=search_config.ProgressiveConfig(
                **sections["progressive"]
            ),
            distribution=common_config.DistributionConfig(
                **sections["distribution"]
            ),
        )
        hashes.add(provenance.config_hash(made))
    assert len(hashes) == 1 + len(flat)


def test_collect():
    metrics = {"accuracy": 0.5}
    made = provenance.collect(CONFIG, metrics)
    assert json.loads(json.dumps(made)) == made
    assert made["config_hash"] == provenance.config_hash(CONFIG)
    assert made["config_name"] == "digits"
    assert made["seed"] == CONFIG.seed
    assert made["metrics"] == {"accuracy": 0.5}
    assert made["versions"]["numpy"] == metadata.version("numpy")
    assert set(made["versions"]) == {
        "entrannas_tf",
        "tensorflow",
        "keras",
        "numpy",
        "python",
    }


def test_a_version_that_is_not_there(monkeypatch):
    def refuse(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", refuse)
    made = provenance.collect(CONFIG, {})
    assert made["versions"]["tensorflow"] == "unknown"
