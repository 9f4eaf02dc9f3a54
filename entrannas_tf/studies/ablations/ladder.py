"""Table 3: each row, measured at doubling batch sizes."""

import json
import math
import os
import time

from absl import logging

from entrannas_tf.studies import benchmark
from entrannas_tf.training import files, interruptions

_MOST_BATCHES = 6  # Doublings.
_GPU_SHARE = 11 / 9  # See `ablation_config.AblationConfig.memory_limit_mib`.


def climb(config, directory):
    """Measures the rows that have not been measured yet.

    Args:
        config: An `ablation_config.AblationConfig`.
        directory: Directory of the measurements, one file each; made if it is
            not there. It belongs to one configuration, and to one process at
            a time.

    Returns:
        The records of all measurements: dicts of `benchmark.measure_row` with
        the `memory_limit_mib`, whether it `fits`, and the `wall_seconds` of
        the measurement. The last of a row is the first that does not fit. One
        that ran out of memory has the reason in `failed`, and no numbers.

    Raises:
        interruptions.RunFailed: If a row cannot be measured at the smallest
            batch.
        OSError: If a file cannot be read or written.
    """
    os.makedirs(directory, exist_ok=True)
    limit = config.memory_limit_mib
    records = []
    for row in benchmark.ROWS:
        for doublings in range(_MOST_BATCHES):
            batch_size = config.batch_size * 2**doublings
            path = os.path.join(directory, f"{row}_{batch_size}.json")
            if not os.path.exists(path):
                logging.info("measure  %s, batches of %d", row, batch_size)
                measured = _measure(config, row, batch_size)
                files.write_text(path, json.dumps(measured, indent=2) + "\n")
            with open(path, encoding="utf-8") as file:
                measured = json.load(file)
            memory = measured.get("peak_memory_mib", math.inf)
            limit = limit or _GPU_SHARE * memory
            fits = memory <= limit
            measured |= {"memory_limit_mib": limit, "fits": fits}
            records.append(measured)
            if not fits:
                break
    return records


def _measure(config, row, batch_size):
    """Returns the record of a batch that may be too large."""
    settings = benchmark.Settings(
        batch_size,
        config.num_steps,
        num_cells=config.search.network.num_cells,
        init_channels=config.search.network.init_channels,
        image_size=config.search.data.image_size or 32,  # CIFAR-10's.
    )
    start = time.monotonic()
    try:
        (measured,) = benchmark.measure([row], settings)
    except interruptions.RunFailed as error:
        if batch_size == config.batch_size:
            raise
        logging.warning("failed   %s", error)
        measured = {"row": row, "batch_size": batch_size, "failed": str(error)}
    return {**measured, "wall_seconds": time.monotonic() - start}
