"""Measures a search step, from DARTS to the full method (Table 3).

python -m launch.benchmark --batch_size=64 [--json]
python -m launch.benchmark --rows=bottleneck --strategy=mirrored \\
    --num_devices=1 --num_devices=2 --num_devices=8
"""

import json

from absl import flags

from entrannas_tf.training import command_line

with command_line.quiet_loading():
    from entrannas_tf.studies import benchmark

_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Global batch size.", 1)
_NUM_STEPS = flags.DEFINE_integer("num_steps", 5, "Steps to time.", 1)
_JSON = flags.DEFINE_bool("json", False, "Print JSON instead of a table.")
_ROWS = flags.DEFINE_multi_enum(
    "rows", list(benchmark.ROWS), list(benchmark.ROWS), "Rows to measure."
)
_STRATEGY = flags.DEFINE_enum(
    "strategy", "one_device", ["one_device", "mirrored"], "Strategy."
)
_NUM_DEVICES = flags.DEFINE_multi_integer(
    "num_devices", [0], "Numbers of devices to measure; 0 for all.", 0
)
_SIZE = flags.DEFINE_list(
    "size", [8, 16, 32], "Cells, initial channels, and size of images."
)
_ROW = flags.DEFINE_enum(
    "row", None, list(benchmark.ROWS), "Row to measure in this process."
)
_START_TIME = flags.DEFINE_float("start_time", None, "Of --row, Unix time.")


def main():
    num_cells, init_channels, image_size = map(int, _SIZE.value)
    settings = benchmark.Settings(
        batch_size=_BATCH_SIZE.value,
        num_steps=_NUM_STEPS.value,
        strategy=_STRATEGY.value,
        num_cells=num_cells,
        init_channels=init_channels,
        image_size=image_size,
    )
    if _ROW.value:
        measured = benchmark.measure_row(
            _ROW.value, settings, _NUM_DEVICES.value[0], _START_TIME.value
        )
        print(json.dumps(measured))
        return
    rows = list(benchmark.measure(_ROWS.value, settings, _NUM_DEVICES.value))
    print(json.dumps(rows, indent=2) if _JSON.value else benchmark.table(rows))


if __name__ == "__main__":
    command_line.run(main, required=())
