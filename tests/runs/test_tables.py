"""Rows as tables: every number is where the card says, and other packages read it."""

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading
from beliefgeo.runs import tables
from tests.runs import gpt2

CONTEXT = 4


def made(process, **options):
    """Rows, and the reading of a network that holds the number of its word and position."""
    rows = reading.rows(jax.random.key(0), process, CONTEXT, **options)
    place = np.stack(np.indices(rows.tokens.shape), -1).astype(np.float32)
    vocab = rows.tokens.max() + 1
    logits = np.random.default_rng(0).normal(size=(*rows.tokens.shape, vocab))
    # Words that share a prefix share what the network holds: the place of the first.
    first = np.stack([rows.word, rows.position], 1)[tables.row_of(rows)].astype(np.float32)
    return rows, reading.of_arrays(rows, logits, {"layer 1": first, "pattern": np.stack([place, first], -1)})


@pytest.fixture(scope="module")
def golden():
    return made(bg.golden_mean())


@pytest.mark.parametrize("bos", [None, 2])
def test_the_row_of_each_word_and_position(bos):
    rows, network = made(bg.golden_mean(), bos=bos)
    at = tables.row_of(rows)
    for word, tokens in enumerate(rows.words):
        for position, row in enumerate(at[word]):
            read = position + (bos is None)
            assert rows.length[row] == read
            np.testing.assert_array_equal(rows.words[rows.word[row], :read], tokens[:read])
    np.testing.assert_array_equal(network.features["layer 1"][at][..., 1], np.arange(CONTEXT)[None].repeat(len(at), 0))


def test_columns_by_hand(golden):
    rows, network = golden
    found = tables.columns(rows, network)
    assert found["tokens"][:5].tolist() == [
        [0, -1, -1, -1],
        [1, -1, -1, -1],
        [0, 0, -1, -1],
        [0, 1, -1, -1],
        [1, 0, -1, -1],
    ]
    assert found["length"][:5].tolist() == [1, 1, 2, 2, 2] and found["count"][0] == 5
    np.testing.assert_allclose(found["probability"][:5], [2 / 3, 1 / 3, 1 / 3, 1 / 3, 1 / 3])
    np.testing.assert_allclose(found["law"][:2], [[0.5, 0.5], [1, 0]])
    np.testing.assert_allclose(np.exp(found["log_law"]).sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(found["layer 1"], np.stack([rows.word, rows.position], 1))
    assert "log_law" not in tables.columns(rows)


def test_the_card_tells_what_the_table_is(golden):
    rows, network = golden
    process = bg.from_edges([("A", "x", "A", 0.5), ("A", "y", "B", 0.5), ("B", "x", "A", 1.0)])
    text = tables.card(process, rows, tables.columns(rows, network))
    assert text.startswith("---\npretty_name:") and 'size_categories: ["n<1K"]' in text
    assert "The process: Process, in `process.json`" in text and "2 tokens ['x', 'y']; a belief has 2 entries" in text
    assert "18 prefixes of 8 words of 4 tokens, all that the process allows." in text
    assert "the network reads each word without a BOS" in text
    assert "| `layer 1` | float32 | [2] | what the network holds at this site |" in text
    assert "| `belief` | float64 | [2] | what an ideal observer believes" in text
    assert f"beliefgeo {bg.__version__}, commit" in text
    drawn = reading.rows(jax.random.key(0), bg.golden_mean(), CONTEXT, most=3, bos=2)
    assert "3 words of 3 tokens, drawn at random" in (told := tables.card(bg.coin(), drawn, tables.columns(drawn)))
    assert "reads each word after the BOS 2." in told


def test_what_is_not_of_these_rows(golden, tmp_path):
    pytest.importorskip("pyarrow")
    rows, network = golden
    with pytest.raises(ValueError, match="a process of 2 tokens; got a process of 3"):
        tables.export_rows(bg.mess3(), rows, network, tmp_path / "new")
    with pytest.raises(ValueError, match="of these 18 rows; got 2"):
        tables.export_rows(bg.golden_mean(), rows, network._replace(log_laws=network.log_laws[:2]), tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.fixture(scope="module")
def folder(golden, tmp_path_factory):
    pytest.importorskip("pyarrow")
    return tables.export_rows(bg.golden_mean(), *golden, tmp_path_factory.mktemp("tables") / "new")


def test_files(folder, golden):
    assert sorted(path.name for path in folder.iterdir()) == [
        *("README.md", "process.json", "rows.parquet", "rows.safetensors")
    ]
    found, _ = gpt2.read_safetensors(folder / "rows.safetensors")
    for name, array in tables.columns(*golden).items():
        np.testing.assert_array_equal(found[name], array, strict=True)
    assert bg.load_process(folder / "process.json").n_states == 2


def require_equal(read, golden):
    """`read(name)` is the column, `[row, ...]`; the tokens are lists."""
    for name, array in tables.columns(*golden).items():
        if name == "tokens":
            expected = [tokens[tokens >= 0].tolist() for tokens in array]
            assert [list(tokens) for tokens in read(name)] == expected
        else:
            np.testing.assert_array_equal(np.asarray(read(name)), array)


@pytest.mark.filterwarnings("ignore")
def test_datasets_reads_them(folder, golden, tmp_path):
    datasets = pytest.importorskip("datasets")
    table = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path))
    require_equal(lambda name: table[:][name], golden)


def test_polars_reads_them(folder, golden):
    polars = pytest.importorskip("polars")
    table = polars.read_parquet(folder / "rows.parquet")
    require_equal(lambda name: table[name].to_list() if name == "tokens" else table[name].to_numpy(), golden)


def test_names_of_hooks():
    names = ["embed", "layer 1 pre", "layer 3", "final norm", "hidden", "layer norm of mine"]
    assert [tables.hook_of(name) for name in names] == [
        *("blocks.0.hook_resid_pre", "blocks.0.hook_resid_pre", "blocks.2.hook_resid_post"),
        *("ln_final.hook_normalized", "hidden", "layer norm of mine"),
    ]


@pytest.fixture(scope="module")
def cache(golden, tmp_path_factory):
    """A folder, and the activations of the words `[word, time, width]`."""
    pytest.importorskip("datasets")
    rows, network = golden
    network = network._replace(features={"layer 1": network.features["layer 1"]})
    folder = tables.export_saelens(rows, network, tmp_path_factory.mktemp("cache") / "new")
    return folder, np.asarray(network.features["layer 1"][tables.row_of(rows)])


@pytest.mark.filterwarnings("ignore")
def test_a_cache_is_a_data_set(cache, golden):
    datasets, (folder, expected) = pytest.importorskip("datasets"), cache
    table = datasets.load_from_disk(folder)
    np.testing.assert_array_equal(table.with_format("numpy")[:]["blocks.0.hook_resid_post"], expected)
    np.testing.assert_array_equal(table[:]["token_ids"], golden[0].tokens)


@pytest.mark.filterwarnings("ignore")
def test_saelens_reads_a_cache(cache):
    """SAELens 6 needs TransformerLens below 4, so that it is not in the extra."""
    store, (folder, expected) = pytest.importorskip("sae_lens.training.activations_store"), cache
    count, context, width = expected.shape
    sizes = {"context_size": context, "d_in": width, "store_batch_size_prompts": count, "train_batch_size_tokens": 4}
    asked = {"hook_name": "blocks.0.hook_resid_post", "hook_head_index": None, "normalize_activations": "none"}
    found = store.ActivationsStore(
        None, None, False, **asked, **sizes, n_batches_in_buffer=2, total_training_tokens=count * context,
        prepend_bos=False, device="cpu", dtype="float32", cached_activations_path=str(folder),
    )  # fmt: skip
    np.testing.assert_array_equal(found.get_raw_llm_batch()[0], expected.reshape(-1, width))
