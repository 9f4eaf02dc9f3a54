"""The stages of a search that goes deeper and chooses from less (P-DARTS).

Chen et al., "Progressive Differentiable Architecture Search", 2019, section 3.
Each stage is a whole search, with weights and alpha drawn anew and its own
workdir under `stages/`. An edge chooses from the primitives that were its
strongest at the end of the stage before; an operation that no edge chooses from
is not made, which pays for the depth. When all have ended, the files of the
last one are copied to the workdir of the whole, which then looks like that of
a single search.
"""

import dataclasses
import json
import os
import time

import numpy as np
from absl import logging

from entrannas_tf.architecture import derivation
from entrannas_tf.search import results as search_results
from entrannas_tf.training import distribution, workdirs

_STAGES = "stages"


def has_stages(config):
    """Returns whether a `search_config.Config` is a whole search in stages."""
    return bool(config.progressive.num_cells) and not config.progressive.stage


def directory(workdir, number):
    """Returns the workdir of a stage, counted from 1."""
    return os.path.join(workdir, _STAGES, f"{number:02d}")


def stages(config):
    """Returns the `search_config.Config` of each stage."""
    settings = config.progressive
    pairs = zip(settings.num_cells, settings.skip_dropout_rates, strict=True)
    return [
        dataclasses.replace(
            config,
            network=dataclasses.replace(config.network, num_cells=num_cells),
            search=dataclasses.replace(config.search, skip_dropout_rate=rate),
            progressive=dataclasses.replace(settings, stage=number),
        )
        for number, (num_cells, rate) in enumerate(pairs, 1)
    ]


def each(config, workdir, strategy, start):
    """Goes through the stages of a search.

    Args:
        config: `search_config.Config` of the whole.
        workdir: Its directory.
        strategy: `tf.distribute.Strategy`.
        start: Value of `time.monotonic` when the program was started.

    Yields:
        For each stage its configuration, its directory, when it started and
        its masks (dict by kind of cell of bool [E, K], None for the first).
        It must have ended before the next one.
    """
    masks, counts = None, config.progressive.num_primitives
    for number, stage in enumerate(stages(config), 1):
        path = directory(workdir, number)
        if number > 1:
            before = directory(workdir, number - 1)
            masks = _masks(before, config, strategy, counts[number - 1])
        logging.info(
            "stage    %d of %d, %d cells, %d primitives an edge, in %s",
            number,
            len(counts),
            stage.network.num_cells,
            counts[number - 1],
            path,
        )
        yield stage, path, start, masks
        start = time.monotonic()


def keep(workdir, config):
    """Copies the files of the last stage to the workdir of the whole.

    The elapsed times there include those of the stages before.

    Raises:
        OSError: If a file cannot be read or written.
    """
    num_stages = len(config.progressive.num_cells)
    *before, last = (directory(workdir, n + 1) for n in range(num_stages))
    seconds = sum(
        workdirs.last_record(path)["timing"]["elapsed_seconds"]
        for path in before
    )
    search_results.copy(last, workdir, seconds)


def _masks(workdir, config, strategy, count):
    """Returns masks of the `count` strongest primitives of a stage's edges."""
    text = b""
    if distribution.is_chief(strategy):
        path = search_results.epoch_file(workdir, config.search.epochs)
        with open(path, "rb") as file:
            text = file.read()
    values = json.loads(distribution.from_chief(strategy, text))
    return {
        kind: derivation.strongest(
            np.array(values["coefficients"][kind]), count
        )
        for kind in config.network.kinds
    }
