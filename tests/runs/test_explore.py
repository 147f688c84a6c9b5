"""`beliefgeo explore`: the page of a trained network beside what the library says, and in a real browser."""

import contextlib
import io
import json
import re
import shutil
from dataclasses import dataclass

import jax
import numpy as np
import pytest

import beliefgeo as bg
from beliefgeo import reading, runs
from beliefgeo.networks import TransformerConfig
from beliefgeo.plots.explorer import unpacked
from beliefgeo.runs import command
from beliefgeo.runs.explore import Options, explore
from beliefgeo.runs.scene import _log_probabilities, _rows, space_of

KEY, CONTEXT = jax.random.key(0), 5
SIZES = TransformerConfig(vocab_size=3, context=CONTEXT, layers=1, width=16, heads=1, head_width=8, mlp_width=16)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    budget = runs.Budget(steps=60, chunk=30, batch=32, learning_rate=1e-2)
    folder = tmp_path_factory.mktemp("explore") / "network"
    return runs.learn(KEY, bg.mess3(), SIZES, budget, context=CONTEXT, folder=folder)


@pytest.fixture(scope="module")
def rows():
    return reading.rows(KEY, bg.mess3(), CONTEXT)


@pytest.fixture(scope="module")
def network(learned, rows):
    return next(reading.readings(learned.trained, rows))


@pytest.fixture(scope="module")
def written(learned):
    """The page of an experiment's folder, whose record names the folder of the network where it was then."""
    run = learned.folder.parent / "mess3" / "default-12345678"
    run.mkdir(parents=True)
    (learned.folder.parent / "networks").mkdir()
    (learned.folder.parent / "networks" / learned.folder.name).symlink_to(learned.folder)
    (run / "run.json").write_text(json.dumps({"networks": {f"elsewhere/{learned.folder.name}": True}}))
    with contextlib.redirect_stdout(io.StringIO()) as said:
        command.command(["explore", str(run)])
    assert said.getvalue().startswith(f"{run / 'explorer.html'}: 0.")
    return run / "explorer.html"


def held(path):
    text = path.read_text(encoding="utf-8")
    meta = json.loads(re.search(r'<script type="application/json" id="meta">(.*?)</script>', text, re.S)[1])
    return meta, dict(re.findall(r'<script type="text/plain" data-block="([^"]*)">([^<]*)</script>', text))


def test_the_folder_of_a_run_alone_gives_the_page(written, learned, rows, network):
    meta, blocks = held(written)
    assert meta["title"] == "mess3" and meta["about"].startswith(
        "Transformer with 1 layer of width 16, trained on 9,600"
    )
    assert [name for name, _ in meta["sites"]] == ["embed", "layer 1", "final norm", "all sites"]
    assert [name for name, _ in meta["snapshots"]] == ["untrained", "4,800 tokens", "9,600 tokens"]
    array = lambda name, columns: unpacked(blocks[name], meta["blocks"][name], columns)
    known = np.column_stack([np.ones(len(rows.length)), array("coordinates", 2)])
    np.testing.assert_allclose(known @ meta["back"], rows.beliefs, atol=3e-5)
    laws = np.exp(network.log_laws)
    np.testing.assert_allclose(known @ meta["laws"] + array("predictions", 3), laws, atol=3e-3)
    for number, (site, r2) in enumerate(meta["sites"]):
        if number != meta["best"] and site in network.features:
            probe = bg.fit_probe(network.features[site], rows.beliefs, rows.counts, rcond=1e-5)
            score = bg.score_probe(probe, network.features[site], rows.beliefs, rows.counts)
            assert r2 == pytest.approx(float(score.r2), abs=1e-4)
            seen = known + np.pad(array(f"site {number}", 2), ((0, 0), (1, 0)))
            np.testing.assert_allclose(seen @ meta["back"], probe(network.features[site]), atol=0.04 * score.rmse)
    assert abs(meta["shuffled"]) < 0.2 < meta["untrained"][meta["best"]][1] <= meta["sites"][meta["best"]][1]


def test_words_beyond_the_cap_are_left_out():
    process = bg.mess3()
    cut = lambda words: _rows(KEY, process, CONTEXT, None, words)
    assert cut(300).length.max() == 5 and cut(100).length.max() == 4 and not cut(100).sampled
    drawn = cut(20)
    assert drawn.sampled and drawn.length.max() == CONTEXT
    every = _log_probabilities(process, drawn)
    word = drawn.tokens[drawn.word[-1]]
    assert every[-1] == pytest.approx(float(bg.log_probability(process, word)), abs=1e-5)
    with_bos = _rows(KEY, process, CONTEXT, 3, 20)
    assert with_bos.length[0] == 0 and _log_probabilities(process, with_bos)[0] == 0


@pytest.mark.parametrize(
    "process, kind, dimensions",
    [(bg.golden_mean(), "segment", 1), (bg.mess3(), "triangle", 2), (bg.rrxor(), "components", 4)]
    + [(bg.bloch_walk(1.0, 3.0), "disc", 2), (bg.quantum_rrxor(0.5, 0.7), "ball", 3), (bg.frdn(), "components", 3)],
)
def test_every_process_has_its_space(process, kind, dimensions):
    found = reading.rows(KEY, process, 5)
    space = space_of(found)
    assert space.kind == kind and space.axes.shape[1] == dimensions
    back = np.column_stack([np.ones(len(found.length)), space(found.beliefs)]) @ space.back
    np.testing.assert_allclose(back, found.beliefs, atol=1e-5)


def test_beliefs_that_do_not_vary_are_refused():
    with pytest.raises(ValueError, match="do not vary"):
        space_of(reading.rows(KEY, bg.coin(0.3), 3))


@dataclass(frozen=True)
class Config:
    seed: int = 0


def test_every_experiment_that_trains_leaves_its_page(learned, tmp_path, capsys):
    def main(run, config):
        run.shown = (bg.mess3(), learned, CONTEXT, False)
        return {"gap": 1.0}

    runs.start(main, {"default": Config()}, args=["--out", str(tmp_path)], name="mess3")
    (folder,) = (tmp_path / "mess3").iterdir()
    assert held(folder / "explorer.html")[0]["title"] == "mess3"
    assert f"{folder}: results.json, explorer.html;" in capsys.readouterr().out


def test_a_page_that_cannot_be_made_is_told_and_stops_nothing(learned, tmp_path, capsys):
    def main(run, config):
        run.shown = (bg.coin(0.5), learned, CONTEXT, False)
        return {"gap": 1.0}

    runs.start(main, {"default": Config()}, args=["--out", str(tmp_path)], name="coin")
    (folder,) = (tmp_path / "coin").iterdir()
    assert (folder / "results.json").exists() and not (folder / "explorer.html").exists()
    assert "no explorer.html: the beliefs do not vary" in capsys.readouterr().out


def test_mistakes_are_one_sentence(learned, tmp_path):
    with pytest.raises(SystemExit, match="holds no run: give the folder of a network"):
        command.command(["explore", str(tmp_path)])
    bg.even().save(tmp_path / "even.json")
    with pytest.raises(ValueError, match="is not the process that the network"):
        explore(learned.folder, Options(process=tmp_path / "even.json"))
    with pytest.raises(ValueError, match="missing.json does not exist"):
        explore(learned.folder, Options(process=tmp_path / "missing.json"))


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is in the extra explorer-test")
    if (path := shutil.which("chromium")) is None:
        pytest.skip("no chromium on this system")
    flags = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=[*flags, "--disable-background-networking"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser, written):
    """The page from its file, without a network, and everything that it complained of."""
    page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme="light", reduced_motion="reduce")
    page.context.set_offline(True)
    complaints = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(written.resolve().as_uri())
    page.evaluate("explorer.ready")
    yield page
    page.close()
    assert not complaints


def number(page, selector):
    return [float(text) for text in page.locator(selector).all_text_contents()]


def row_of(rows, word):
    return int(np.flatnonzero((rows.length == len(word)) & (rows.words[rows.word][:, : len(word)] == word).all(1))[0])


@pytest.mark.browser
def test_a_hover_shows_the_word_and_its_numbers(opened, rows, network):
    row = row_of(rows, [0, 2, 1])
    assert opened.evaluate("explorer.rowOf([0, 2, 1])") == row
    opened.mouse.move(*opened.evaluate(f"explorer.at(0, {row})"))
    opened.wait_for_selector("#facts")
    assert opened.locator(".steps .token").all_text_contents() == ["0", "2", "1"]
    belief, law = (opened.locator("#told table").nth(index) for index in (0, 1))
    shown = [float(text) for text in belief.locator("td.number:not(.other)").all_text_contents()]
    np.testing.assert_allclose(shown, rows.beliefs[row], atol=1e-4)
    shown = [float(text) for text in law.locator("td.number:not(.other)").all_text_contents()]
    np.testing.assert_allclose(shown, rows.laws[row], atol=1e-4)
    shown = [float(text) for text in law.locator("td.other").all_text_contents()]
    np.testing.assert_allclose(shown, np.exp(network.log_laws[row]), atol=3e-3)
    assert f"{rows.probabilities[row]:.3g}" in opened.locator("#facts").text_content()
    all_of_it = opened.evaluate(f"explorer.describe({row})")
    divergence = reading.divergences(rows, network.log_laws)[row]
    assert all_of_it["loss"] == pytest.approx(divergence, rel=0.2, abs=1e-3)
    opened.mouse.move(5, 5)
    assert opened.locator("#facts").count() == 0


@pytest.mark.browser
def test_typing_walks_and_a_click_pins(opened, rows):
    for read, letters in ((1, "0"), (2, "02"), (3, "021")):
        opened.locator("#word").fill(letters)
        assert opened.locator(".steps .token").count() == read
    assert opened.evaluate("explorer.pinned()") == row_of(rows, [0, 2, 1])
    opened.locator("#word").fill("0x")
    assert "no token" in opened.locator("#word-help").text_content()
    assert opened.url.endswith("explorer.html#0")  # a link to the word
    opened.reload()
    opened.evaluate("explorer.ready")
    assert opened.evaluate("explorer.pinned()") == row_of(rows, [0])
    row = row_of(rows, [1, 1, 1, 1, 1])
    opened.mouse.click(*opened.evaluate(f"explorer.at(0, {row})"))
    opened.mouse.move(5, 5)
    assert opened.evaluate("explorer.pinned()") == row and opened.locator("#word").input_value() == "11111"
    opened.locator("#stage").focus()
    opened.keyboard.press("ArrowUp")
    assert opened.evaluate("explorer.pinned()") == row_of(rows, [1, 1, 1, 1])
    assert "Word 1111, probability" in opened.locator("#said").text_content()
    opened.keyboard.press("Escape")
    assert opened.evaluate("explorer.pinned()") == -1


@pytest.mark.browser
def test_the_slider_and_the_controls_change_the_cloud(opened, learned, rows):
    where = lambda: np.array(opened.evaluate("[0, 50, 100].map(row => explorer.at(1, row))"))
    trained = where()
    opened.locator("#time").focus()
    opened.keyboard.press("ArrowLeft")
    opened.wait_for_function("explorer.view.time === 1 && explorer.settled()")
    earlier = where()
    opened.locator("#mode label", has_text="untrained").click()
    opened.wait_for_function("explorer.settled()")
    untrained = where()
    opened.locator("#mode label", has_text="shuffled").click()
    opened.wait_for_function("explorer.settled()")
    shuffled = where()
    for one, other, pixels in ((trained, earlier, 0.5), (earlier, untrained, 5), (untrained, shuffled, 5)):
        assert abs(one - other).max() > pixels
    # What is drawn of the untrained network is what a probe reads there.
    first = next(reading.readings(learned.untrained, rows))
    meta = json.loads(opened.locator("#meta").text_content())
    name = meta["sites"][meta["best"]][0]
    features = reading.concatenated(first.features) if name == "all sites" else first.features[name]
    seen = np.asarray(bg.fit_probe(features, rows.beliefs, rows.counts, rcond=1e-5)(features))
    opened.locator("#mode label", has_text="untrained").click()
    opened.wait_for_function("explorer.settled()")
    np.testing.assert_allclose(opened.evaluate("explorer.describe(50).probe"), seen[50], atol=4e-3)


@pytest.mark.browser
def test_three_corners_in_their_colours(opened, rows):
    """The mean place of the pixels of each corner's colour is near its corner: lower left, lower right, top."""
    from PIL import Image

    box = opened.locator(".view").first.bounding_box()
    picture = np.asarray(Image.open(io.BytesIO(opened.screenshot())).convert("RGB"), int)
    x, y, w, h = (round(box[name]) for name in ("x", "y", "width", "height"))
    view = picture[y : y + h, x : x + w]
    corners = [opened.evaluate(f"explorer.at(0, {row_of(rows, [token] * CONTEXT)})") for token in range(3)]
    for token, colour in enumerate([(220, 90, 18), (7, 154, 112), (33, 102, 196)]):
        near = np.argwhere(abs(view - colour).sum(2) < 40)
        assert len(near) > 20
        found = near.mean(0)[::-1] + [x, y]
        assert np.linalg.norm(found - corners[token]) < 0.15 * w, token
    assert corners[0][0] < corners[2][0] < corners[1][0] and corners[2][1] < corners[0][1] - 0.3 * h


@pytest.mark.browser
def test_a_frame_is_fast(opened, capsys):
    milliseconds = opened.evaluate("explorer.frameTime(20)")
    with capsys.disabled():
        print(f"\nframe of {opened.evaluate('explorer.rows()')} points twice: {milliseconds:.1f} ms (software WebGL)")
    assert milliseconds < 1000
