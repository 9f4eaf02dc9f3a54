"""Measures a search step, from DARTS to the full method (Table 3).

python -m launch.benchmark --batch_size=64 [--json]
"""

import json
import time

from absl import flags

from entrannas_tf import command_line

with command_line.quiet_loading():
    from entrannas_tf import benchmarking

_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Images of a batch.", 1)
_NUM_STEPS = flags.DEFINE_integer("num_steps", 5, "Steps to time.", 1)
_JSON = flags.DEFINE_bool("json", False, "Print JSON instead of a table.")
_ROWS = flags.DEFINE_multi_enum(
    "rows", list(benchmarking.ROWS), list(benchmarking.ROWS), "Rows to measure."
)
_ROW = flags.DEFINE_enum(
    "row",
    None,
    list(benchmarking.ROWS),
    "Measure one row in this process and print it as JSON.",
)
_START_TIME = flags.DEFINE_float(
    "start_time", None, "With --row: when the process started, Unix time."
)


def main():
    batch_size, num_steps = _BATCH_SIZE.value, _NUM_STEPS.value
    if _ROW.value:
        start = _START_TIME.value or time.time()
        measured = benchmarking.measure_row(
            _ROW.value, batch_size, num_steps, start
        )
        print(json.dumps(measured))
        return
    measured = list(benchmarking.measure(_ROWS.value, batch_size, num_steps))
    if _JSON.value:
        print(json.dumps(measured, indent=2))
    else:
        print(benchmarking.table(measured))


if __name__ == "__main__":
    command_line.run(main, required=())
