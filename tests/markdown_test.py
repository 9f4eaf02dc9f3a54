from entrannas_tf import markdown


def test_table():
    assert markdown.table(("a", "b"), [(1, "x"), (2, "y")]) == [
        "| a | b |",
        "|---|---|",
        "| 1 | x |",
        "| 2 | y |",
    ]
