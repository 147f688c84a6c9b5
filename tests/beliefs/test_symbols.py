"""Files of symbols, by hand."""

import numpy as np
import pytest

import beliefgeo as bg


def read(tmp_path, name, text, **options):
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = bg.read_symbols(tmp_path / name, **options)
    return [[found.names[token] for token in word if token >= 0] for word in found.tokens]


def test_text_of_letters_and_of_words(tmp_path):
    assert read(tmp_path, "one.txt", "ABBA\n") == [list("ABBA")]
    assert read(tmp_path, "two.txt", "\nABBA\r\n  BA \n\n") == [list("ABBA"), list("BA")]
    assert read(tmp_path, "words.txt", "sun rain rain\nsun") == [["sun", "rain", "rain"], ["sun"]]
    assert read(tmp_path, "lines.txt", "Mon\nTue\nWed\n" * 10) == [
        ["Mon", "Tue", "Wed"] * 10
    ]  # as check_sequences has it


def test_rows_and_columns_of_csv(tmp_path):
    assert read(tmp_path, "rows.csv", "a,b,a\nb,,\n") == [["a", "b", "a"], ["b"]]
    assert read(tmp_path, "rows.tsv", "a b\tb, c\n") == [["a b", "b, c"]]
    assert read(tmp_path, "one.csv", 'a\n\nb\n"a, b"\n') == [["a", "b", "a, b"]]
    table = "\ufefftime,state\n0,wake\n1,sleep\n2\n3,wake\n"
    assert read(tmp_path, "table.csv", table, column="state") == [["wake", "sleep", "wake"]]
    with pytest.raises(ValueError, match="has the columns time, state; got column='mood'"):
        read(tmp_path, "table.csv", table, column="mood")


def test_files_without_symbols(tmp_path):
    for name in ("empty.txt", "empty.csv"):
        with pytest.raises(ValueError, match="holds no symbols"):
            read(tmp_path, name, " \n\n")
    with pytest.raises(ValueError, match="is text and has no columns"):
        read(tmp_path, "one.txt", "ABBA", column="state")


def test_what_was_read_is_taken_as_tokens(tmp_path):
    (tmp_path / "one.csv").write_text("\n".join(["up", "down", "down"] * 100))
    found = bg.read_symbols(tmp_path / "one.csv")
    np.testing.assert_array_equal(found.tokens[0, :6], [1, 0, 0, 1, 0, 0])
    process = bg.infer_causal_states(found, 3).process
    assert process.token_names == ("down", "up") and process.n_states == 3
    assert float(bg.log_probability(process, ["up", "down", "up"])) == -np.inf
