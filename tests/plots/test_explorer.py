"""The page of beliefs: what it holds, number by number. What a browser makes of it: tests/runs/test_explore.py."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo.plots.explorer import Cloud, Scene, bloch_space, component_space, packed, page, simplex_space, unpacked
from beliefgeo.probes.geometry import simplex_vertices
from beliefgeo.reading import rows as rows_of

STEP = 0.25


def test_packing_keeps_whole_steps_of_both_signs():
    values = np.array([[0.0, 1.0], [-1.0, 32767.0], [2.0, -32767.0]]) * STEP
    assert unpacked(packed(values, STEP), STEP, 2).tolist() == values.tolist()


def test_packing_rounds_to_the_nearest_step():
    values = np.random.default_rng(0).normal(size=(500, 3))
    assert abs(unpacked(packed(values, 1e-3), 1e-3, 3) - values).max() <= 0.5e-3 * (1 + 1e-9)


def scene(change=lambda scene: scene):
    """Words of two tokens of Mess3, and probes that are off by a known amount."""
    import jax

    rows = rows_of(jax.random.key(0), bg.mess3(), 2)
    off = np.linspace(-0.1, 0.1, len(rows.length))[:, None] * [1, 1, -2]
    cloud = lambda label, size: Cloud(label, rows.beliefs + size * off, 1 - size / 2)
    return change(
        Scene(
            title="Mess3 </script> & co",
            about="A network",
            notes=["A note."],
            space=simplex_space(np.asarray(simplex_vertices(3), float)),
            parent=rows.parent,
            last_token=rows.last_token,
            length=rows.length,
            log_probabilities=np.log(rows.probabilities),
            beliefs=rows.beliefs,
            laws=rows.laws,
            predictions=rows.laws + off,
            initial=np.full(3, 1 / 3),
            state_names=["0", "1", "2"],
            token_names=["a", "b", "c"],
            drawn=False,
            site=1,
            snapshots=[cloud("untrained", 1), cloud("9k tokens", 0.5), cloud("1.0M tokens", 0.1)],
            sites=[cloud("embed", 0.7), cloud("layer 1", 0.1)],
            untrained=[cloud("embed", 0.9), cloud("layer 1", 1)],
            shuffled=cloud("shuffled beliefs", 2),
            still=b"\x89PNG",
        )
    )


def held(text):
    """The numbers of a page: what its JSON says, and its arrays by name."""
    meta = json.loads(re.search(r'<script type="application/json" id="meta">(.*?)</script>', text, re.S)[1])
    blocks = dict(re.findall(r'<script type="text/plain" data-block="([^"]*)">([^<]*)</script>', text))
    assert blocks.keys() == meta["blocks"].keys()
    columns = {"new": 1, "token": 1, "log probability": 1, "predictions": len(meta["tokens"])}
    shown = min(3, meta["dimensions"])
    sizes = {name: columns.get(name, meta["dimensions"] if name == "coordinates" else shown) for name in blocks}
    return meta, {name: unpacked(text, meta["blocks"][name], sizes[name]) for name, text in blocks.items()}


def test_a_page_holds_beliefs_laws_and_what_probes_read():
    given = scene()
    meta, arrays = held(page(given))
    known = np.column_stack([np.ones(12), arrays["coordinates"]])
    np.testing.assert_allclose(known @ meta["back"], given.beliefs, atol=3e-5)  # 16 bits of the largest coordinate
    np.testing.assert_allclose(known @ meta["laws"], given.laws, atol=3e-5)
    np.testing.assert_allclose(known @ meta["laws"] + arrays["predictions"], given.predictions, atol=2e-3)
    np.testing.assert_allclose(arrays["log probability"][:, 0], given.log_probabilities, atol=1e-4)
    for name, cloud in {"snapshot 2": given.snapshots[2], "site 0": given.sites[0], "shuffled": given.shuffled}.items():
        error = np.sqrt(np.mean((cloud.beliefs - given.beliefs) ** 2))
        seen = np.column_stack([np.ones(12), arrays["coordinates"] + arrays[name]]) @ meta["back"]
        assert abs(seen - cloud.beliefs).max() < error / 16
    # The snapshots are probed at one of the sites, which is stored once.
    assert meta["same"] == {"site 1": "snapshot 2", "untrained 1": "snapshot 0"}
    assert {"snapshot 0", "snapshot 1", "snapshot 2", "site 0", "untrained 0", "shuffled"} < arrays.keys()
    assert not {"site 1", "untrained 1"} & arrays.keys()


def test_a_page_holds_the_words():
    given = scene()
    meta, arrays = held(page(given))
    assert meta["levels"] == [0, 3] and meta["first"] == 1 and meta["tokens"] == ["a", "b", "c"]
    assert (arrays["token"][:, 0] - 1).tolist() == given.last_token.tolist() == [0, 1, 2] * 4
    assert (np.cumsum(arrays["new"][3:, 0]) - 1).tolist() == given.parent[3:].tolist()


def test_a_page_asks_nobody_and_escapes_names():
    text = page(scene())
    assert "<title>Mess3 &lt;/script&gt; &amp; co" in text and "</script> & co" not in text
    assert not re.search(r"""(src|href)=["'](?!data:)|url\(|@import|\bfetch\(|XMLHttpRequest|https?:""", text)
    assert "{{" not in text


def test_rows_out_of_order_are_refused():
    with pytest.raises(ValueError, match="in the order of reading.rows"):
        page(scene(lambda given: given._replace(parent=given.parent[::-1])))
    with pytest.raises(ValueError, match="finite numbers"):
        page(scene(lambda given: given._replace(predictions=given.predictions * np.nan)))


@pytest.mark.parametrize(
    "space", [bloch_space(2), bloch_space(3), component_space(np.array([0.2, 0.3, 0.5]), np.eye(3)[:2])]
)
def test_coordinates_lead_back_to_beliefs(space):
    beliefs = np.column_stack([np.ones(4), np.random.default_rng(0).normal(size=(4, len(space.origin) - 1))])
    beliefs = beliefs if space.kind != "components" else beliefs * [1, 1, 0] + [0, 0, 0.5]
    back = np.column_stack([np.ones(4), space(beliefs)]) @ space.back
    np.testing.assert_allclose(back, beliefs, atol=1e-12)


@pytest.mark.parametrize("name", ["mess3", "rrxor", "bloch_walk"])
def test_a_page_of_the_site_is_of_this_template(name):
    """Each is the template with its data: whoever changes the template writes the pages again."""
    home = Path(__file__).parents[2]
    template = (home / "beliefgeo/plots/explorer.html").read_text(encoding="utf-8")
    written = (home / f"docs/pages/explorer/{name}.html").read_text(encoding="utf-8")
    pieces = re.split(r"\{\{[A-Z]+\}\}", template)
    assert re.fullmatch(".*?".join(map(re.escape, pieces)), written, re.DOTALL)
    assert len(pieces) == 6 and len(written) > 2 * len(template)
