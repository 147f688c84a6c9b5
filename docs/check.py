"""A whole site: every link, picture and anchor of the built pages is there, and nothing is fetched from elsewhere.

python docs/check.py SITE
"""

import re
import sys
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser fetches by itself; a link of `a` is followed by a person.
FETCHED = {("img", "src"), ("script", "src"), ("link", "href"), ("iframe", "src"), ("video", "src"), ("source", "src")}
# Links that say where a page is and fetch nothing.
SAID = {"canonical", "prev", "next", "alternate", "edit"}


class Links(HTMLParser):
    """The anchors of a page, and what it links and fetches."""

    def __init__(self, text: str):
        """Read a page."""
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for each tag."""
        held = dict(attrs)
        self.anchors |= {held[name] for name in ("id", "name") if held.get(name)}
        for name in ("href", "src"):
            if held.get(name) and not (tag == "link" and held.get("rel") in SAID):
                (self.fetched if (tag, name) in FETCHED else self.links).append(held[name])


def wrong(site: Path) -> Iterator[str]:
    """What is not as it should be, a sentence each."""
    pages = {path: Links(path.read_text()) for path in sorted(site.rglob("*.html"))}
    for page, found in pages.items():
        for link in found.fetched + found.links:
            if (reason := broken(site, page, link, pages)) is not None:
                yield f"{page.relative_to(site)}: {link} {reason}"
        for link in found.fetched:
            if urlsplit(link).netloc:
                yield f"{page.relative_to(site)}: {link} is fetched from elsewhere"
    for sheet in sorted(site.rglob("*.css")):
        for link in re.findall(r"(?:url\(|@import\s+)['\"]?((?:https?:)?//[^'\")\s]+)", sheet.read_text()):
            yield f"{sheet.relative_to(site)}: {link} is fetched from elsewhere"


def broken(site: Path, page: Path, link: str, pages: Mapping[Path, Links]) -> str | None:
    """Why a link of a page leads nowhere, or None. Links that leave the site are not followed."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    start = site if parts.path.startswith("/") else page.parent  # the page of what is not found may stand anywhere
    target = (start / unquote(parts.path).lstrip("/")).resolve() if parts.path else page
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return "is not there"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and not anchor.startswith("__") and anchor not in pages[target].anchors:
        return f"has no anchor #{anchor}"
    return None


def on_post_build(config: Mapping[str, str]) -> None:
    """Called by mkdocs when the site is built.

    Raises:
        SystemExit: naming what is wrong.
    """
    if found := list(wrong(Path(config["site_dir"]).resolve())):
        raise SystemExit("\n".join(["error: the site is not whole:", *found]))


if __name__ == "__main__":
    on_post_build({"site_dir": sys.argv[1]})
