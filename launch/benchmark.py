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
    "strategy",
    "one_device",
    ["one_device", "mirrored"],
    "Distribution strategy.",
)
_NUM_DEVICES = flags.DEFINE_multi_integer(
    "num_devices", [0], "Numbers of devices to measure; 0 for all.", 0
)
_SIZE = flags.DEFINE_list(
    "size", [8, 16, 32], "Cells, initial channels, and size of images."
)
_ROW = flags.DEFINE_enum(
    "row",
    None,
    list(benchmark.ROWS),
    "Measure one row in this process and print it as JSON.",
)
_START_TIME = flags.DEFINE_float(
    "start_time", None, "With --row: Unix time at which the process started."
)


def main():
    settings = _BATCH_SIZE.value, _NUM_STEPS.value, _STRATEGY.value
    size = benchmark.Size(*map(int, _SIZE.value))
    if _ROW.value:
        settings = *settings, _NUM_DEVICES.value[0], _START_TIME.value, size
        print(json.dumps(benchmark.measure_row(_ROW.value, *settings)))
        return
    settings = *settings, _NUM_DEVICES.value, size
    measured = list(benchmark.measure(_ROWS.value, *settings))
    text = json.dumps(measured, indent=2) if _JSON.value else None
    print(text or benchmark.table(measured))


if __name__ == "__main__":
    command_line.run(main, required=())
