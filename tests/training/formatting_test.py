from entrannas_tf.training import formatting


def test_table():
    assert formatting.table(("a", "b"), [(1, "x"), (2, "y")]) == [
        "| a | b |",
        "|---|---|",
        "| 1 | x |",
        "| 2 | y |",
    ]
