"""Pages that lie beside what they describe, on the site: those of claims, of benchmarks, notebooks, CONTRIBUTING.md.

Links in all pages are those of the repository, so that they work where the code is read. On the site a link to a page
leads to that page; any other file that is linked, as a picture, is served at its path in the repository.
"""

import re
from pathlib import Path
from posixpath import dirname, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs/pages"
LINK = re.compile(r"(?<=\]\()[^)\s#]+")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Called by mkdocs with the files of `docs/pages`: adds the pages from elsewhere, and what any page links."""
    for path, uri in elsewhere().items():
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    for page in files.documentation_pages():
        for target in linked(Path(page.abs_src_path), Path(page.abs_src_path).read_text()).values():
            if files.get_file_from_path(uri := place(target)) is None:
                files.append(File.generated(config, uri, abs_src_path=str(target)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Called by mkdocs with the text of each page: its links as they are on the site."""
    targets = linked(Path(page.file.abs_src_path), markdown)
    here = dirname(page.file.src_uri) or "."
    return LINK.sub(lambda link: relpath(place(targets[link[0]]), here) if link[0] in targets else link[0], markdown)


def linked(page: Path, markdown: str) -> dict[str, Path]:
    """The links of a page to files of the repository. Of others mkdocs complains, where they lead nowhere."""
    links = {link: (page.parent / link).resolve() for link in LINK.findall(markdown)}
    return {link: path for link, path in links.items() if path.is_file() and path.is_relative_to(ROOT)}


def place(path: Path) -> str:
    """Where a file of the repository stands on the site."""
    if path in (pages := elsewhere()):
        return pages[path]
    return path.relative_to(PAGES if path.is_relative_to(PAGES) else ROOT).as_posix()


def elsewhere() -> dict[Path, str]:
    """The pages that do not lie in `docs/pages`, and where they stand on the site."""
    claims = [path.parent for path in sorted(ROOT.glob("experiments/*/__main__.py"))]
    return {
        **{claim / "README.md": f"results/{claim.name}.md" for claim in claims},
        **{path: f"notebooks/{path.stem}.md" for path in sorted(ROOT.glob("docs/notebooks/*.ipynb"))},
        ROOT / "experiments/README.md": "results/index.md",
        ROOT / "experiments/benchmarks/records/README.md": "results/benchmarks.md",
        ROOT / "experiments/benchmarks/records/training.md": "results/training_records.md",
        ROOT / "docs/CONTRIBUTING.md": "contributing.md",
    }
