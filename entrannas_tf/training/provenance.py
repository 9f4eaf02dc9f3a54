"""The provenance of a result, and the memory it took."""

import dataclasses
import hashlib
import json
import platform
import resource
from importlib import metadata

_DISTRIBUTIONS = ("entrannas_tf", "tensorflow", "keras", "numpy")


def config_hash(config):
    """Returns the first 12 hexadecimal digits of a configuration's SHA-256.

    Every field counts, also those that only change the speed.

    Args:
        config: A configuration of any kind.
    """
    text = json.dumps(
        dataclasses.asdict(config), sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]


def peak_memory_mib():
    """Returns the most memory that this process has held so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if platform.system() == "Darwin" else 2**10)


def collect(config, metrics):
    """Returns the member `provenance` of a result.

    Args:
        config: A `common_config.RunConfig`.
        metrics: A dict from names to numbers, such as accuracies.

    Returns:
        A dict that JSON can hold. A version is "unknown" where the
        distribution is not installed under its name.
    """
    versions = {name: _version(name) for name in _DISTRIBUTIONS}
    return {
        "config_hash": config_hash(config),
        "config_name": config.name,
        "seed": config.seed,
        "versions": {**versions, "python": platform.python_version()},
        "metrics": dict(metrics),
    }


def _version(distribution):
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"
