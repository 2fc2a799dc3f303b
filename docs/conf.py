"""The documentation as a site: python -m sphinx -W -b html docs out/site

Pages are Markdown that reads well on a forge too. Nothing is fetched, neither when the site is built nor when it is
read: equations become MathML and charts SVG here, and the theme brings its own styles and scripts. The reference is
made of the docstrings of the packages that `REFERENCE` names, and of those of the commands, into `docs/reference/`,
which git ignores.
"""

import ast
import base64
import sys
import textwrap
from pathlib import Path

import mmdr
from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx import addnodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))

project = "vton-jax"
html_title = "vton-jax"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False

# Fences and dollars as forges have them.
myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math", "mermaid"]
myst_heading_anchors = 4
html_math_renderer = "mathml"

# Docstrings say `name` for code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "replace"}  # which every flax struct has
autodoc_inherit_docstrings = False  # flax' own words on our classes
autodoc_use_type_comments = False  # there are none; looking for them takes seconds
# What heavy extras bring; the reference is the same without them.
autodoc_mock_imports = ["gradio", "statsmodels", "choix", "numba", "matplotlib"]
# Names of functions in every page's navigation would take longer to write than all else; headings are the modules.
toc_object_entries = False

REFERENCE = (
    "systems", "systems.lab126", "systems.clothflow", "systems.finet", "systems.first_order", "systems.mirror",
    "reading", "layout", "warping", "compositing", "models", "core", "media", "catalogue", "inputs", "tasks",
    "training", "evaluate", "benchmark", "studio", "study", "command_line",
)  # fmt: skip
NOT_IMPORTED = ("__main__", "packaged")  # entry points, which define flags


def write_reference(_app) -> None:
    """A page for each package, with a heading for each of its modules."""
    folder = DOCS / "reference"
    folder.mkdir(exist_ok=True)
    about = "The packages of `vton_jax`, from their docstrings; [architecture](../architecture.md) is their map."
    index = ["# Reference", "", about, ""]
    index += ["```{toctree}", ":maxdepth: 1", "", "vton_jax", *REFERENCE, "```"]
    pages = {"index.md": index, "vton_jax.rst": write_commands()}
    for package in REFERENCE:
        parts = ROOT.joinpath("vton_jax", *package.split("."))
        modules = [path.stem for path in sorted(parts.glob("*.py")) if path.stem not in (*NOT_IMPORTED, "__init__")]
        page = [package, "=" * len(package), "", f".. automodule:: vton_jax.{package}", "   :members:", ""]
        for module in modules:
            page += [module, "-" * len(module), "", f".. automodule:: vton_jax.{package}.{module}", "   :members:", ""]
        pages[f"{package}.rst"] = page
    for path in folder.iterdir():
        if path.name not in pages:  # of a package that is gone
            path.unlink()
    for name, lines in pages.items():
        text, path = "\n".join(lines) + "\n", folder / name
        if not path.exists() or path.read_text() != text:  # an unchanged page is not read again
            path.write_text(text)


def write_commands() -> list[str]:
    """The page of the package itself and of its commands, whose docstrings are their help."""
    page = ["vton_jax", "=" * 8, "", ".. automodule:: vton_jax", ""]
    package = ROOT / "vton_jax"
    entries = {path.stem: path for path in package.glob("[a-z]*.py")}
    entries |= {path.parent.name: path for path in package.glob("*/__main__.py")}
    for name, path in sorted(entries.items()):
        title = f"vton {name}"
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        page += [title, "-" * len(title), "", ".. code-block:: none", "", textwrap.indent(text, "    "), ""]
    return page


def search_whole_names(_app, doctree) -> None:
    """Types of annotations are looked up as they are written.

    Sphinx would compare each with the end of every name, which takes long, and finds several for `type`.
    """
    for node in doctree.findall(addnodes.pending_xref):
        if node.get("refspecific") is False:
            del node["refspecific"]


def write_equation(self, node) -> None:
    """MathML, which browsers draw themselves."""
    block = isinstance(node, nodes.math_block)
    try:
        written = latex2mathml.tex2mathml(node.astext(), as_block=block)
    except MathError as error:
        logging.getLogger(__name__).warning("%s", error, location=node)
        raise nodes.SkipNode from None
    self.body.append(f'<div class="math">{written}</div>' if block else written)
    raise nodes.SkipNode


class Chart(SphinxDirective):
    """A chart in Mermaid's language, drawn now."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        drawn = mmdr.render("\n".join(self.content)).svg().encode()
        address = "data:image/svg+xml;base64," + base64.b64encode(drawn).decode()
        return [nodes.raw("", f'<img class="chart" alt="chart" src="{address}">', format="html")]


def setup(app) -> None:
    app.connect("builder-inited", write_reference)
    app.connect("doctree-read", search_whole_names)
    app.add_html_math_renderer("mathml", (write_equation, None), (write_equation, None))
    app.add_directive("mermaid", Chart)
