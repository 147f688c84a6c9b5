"""Shows the doctests of docstrings as code; Markdown would read `>>>` as three nested quotations."""

import re

import griffe


class Doctests(griffe.Extension):
    """Fences every doctest: from `>>>` to the next empty line."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Called once for each module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = re.sub(
                r"^( *)>>> .*(?:\n.*\S.*)*", r"\1```pycon\n\g<0>\n\1```", obj.docstring.value, flags=re.MULTILINE
            )
