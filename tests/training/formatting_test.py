import pytest

from entrannas_tf.training import formatting


def test_table():
    assert formatting.table(("a", "b"), [(1, "x"), (2, "y|z")]) == (
        "| a | b |\n"  # The header.
        "|---|---|\n"
        "| 1 | x |\n"
        "| 2 | y/z |"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (7.4, "0:07"),
        (59.7, "1:00"),
        (754, "12:34"),
        (3723, "1:02:03"),
        (360000, "100:00:00"),
    ],
)
def test_duration(seconds, text):
    assert formatting.duration(seconds) == text


@pytest.mark.parametrize(
    ("done", "text"),
    [
        (0, "[>...........] 0/11"),
        (6, "[======>.....] 6/11"),
        (10, "[==========>.] 10/11"),
        (11, "[============] 11/11"),
    ],
)
def test_bar(done, text):
    assert formatting.bar(done, 11) == text
