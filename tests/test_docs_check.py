"""The check of the built site tells what is broken, and nothing else."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture
def check():
    path = Path(__file__).parents[1] / "docs/check.py"
    spec = importlib.util.spec_from_file_location("check", path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


PAGE = """<link rel="canonical" href="https://elsewhere/"> <a href="https://elsewhere/paper">a paper</a>
<h1 id="top">Top</h1> <a href="#top">up</a> <a href="a/b.html#in">in</a> <img src="a/picture%201.png">"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/picture 1.png").touch()
    (tmp_path / "a/b.html").write_text(
        '<p id="in"></p> <a href="../index.html#top">up</a> <a href="/index.html">home</a>'
    )
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "site.css").write_text("p { background: url(a/picture.png) } a { background: url('data:image/png;,') }")
    return tmp_path


def test_a_whole_site(check, site):
    assert list(check.wrong(site)) == []
    check.on_post_build({"site_dir": str(site)})


@pytest.mark.parametrize(
    "added, said",
    [
        ('<a href="c.html">c</a>', "c.html is not there"),
        ('<img src="a/none.png">', "a/none.png is not there"),
        ('<a href="a/b.html#out">out</a>', "a/b.html#out has no anchor #out"),
        ('<a href="#out">out</a>', "#out has no anchor #out"),
        (
            '<script src="https://elsewhere/script.js"></script>',
            "https://elsewhere/script.js is fetched from elsewhere",
        ),
        ('<link rel="stylesheet" href="//elsewhere/font.css">', "//elsewhere/font.css is fetched from elsewhere"),
    ],
)
def test_a_broken_page(check, site, added, said):
    (site / "index.html").write_text(PAGE + added)
    assert list(check.wrong(site)) == [f"index.html: {said}"]
    with pytest.raises(SystemExit, match="not whole"):
        check.on_post_build({"site_dir": str(site)})


def test_a_font_from_elsewhere(check, site):
    (site / "site.css").write_text("@import 'https://elsewhere/font.css';")
    assert list(check.wrong(site)) == ["site.css: https://elsewhere/font.css is fetched from elsewhere"]
