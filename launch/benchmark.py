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

_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Images of a batch.", 1)
_NUM_STEPS = flags.DEFINE_integer("num_steps", 5, "Steps to time.", 1)
_JSON = flags.DEFINE_bool("json", False, "Print JSON instead of a table.")
_ROWS = flags.DEFINE_multi_enum(
    "rows", list(benchmark.ROWS), list(benchmark.ROWS), "Rows to measure."
)
_STRATEGY = flags.DEFINE_enum(
    "strategy", "one_device", ["one_device", "mirrored"], "What to spread over."
)
_NUM_DEVICES = flags.DEFINE_multi_integer(
    "num_devices", [0], "Numbers of devices to measure; 0 for all.", 0
)
_SIZE = flags.DEFINE_list(
    "size", [8, 16, 32], "Cells, channels of the first, pixels of an image."
)
_ROW = flags.DEFINE_enum(
    "row",
    None,
    list(benchmark.ROWS),
    "Measure one row in this process and print it as JSON.",
)
_START_TIME = flags.DEFINE_float("start_time", None, "Of --row, Unix time.")


def main():
    settings = {
        "batch_size": _BATCH_SIZE.value,
        "num_steps": _NUM_STEPS.value,
        "strategy": _STRATEGY.value,
        "size": benchmark.Size(*map(int, _SIZE.value)),
    }
    if _ROW.value:
        settings["num_devices"] = _NUM_DEVICES.value[0]
        settings["start_time"] = _START_TIME.value
        print(json.dumps(benchmark.measure_row(_ROW.value, **settings)))
        return
    settings["nums_devices"] = _NUM_DEVICES.value
    measured = list(benchmark.measure(_ROWS.value, **settings))
    text = json.dumps(measured, indent=2) if _JSON.value else None
    print(text or benchmark.table(measured))


if __name__ == "__main__":
    command_line.run(main, required=())
