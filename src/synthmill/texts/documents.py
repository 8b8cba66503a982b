"""Documents as plain text: txt, markdown, HTML, PDF, Word, and tables that hold one document a row."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from synthmill.refusal import MissingExtra, Refusal, choices

from .seeds import Seed, is_table, of_table, origin


@dataclass(frozen=True)
class Document:
    """id: what lineage calls it. depth: 0 for what people wrote, that of the record for one of a run. source: its file or
    run, as `seeds.origin` names it."""

    id: str
    title: str
    text: str
    depth: int = 0
    source: str = field(default="", compare=False)


def documents(source: str | Path, column: str | None = None) -> list[Document]:
    """The documents of a file, a finished run, or a folder with everything below it, in order of path.

    A table holds a document in every row: its text is in `column` (None: `text`, or the only column of text), its name
    in `id` and `title` where there are such columns. Of a folder, files of other kinds are left alone.
    Raises Refusal for what cannot be read, or holds no text; MissingExtra where a reader is not installed.
    """
    path = Path(source)
    if not path.exists():
        raise Refusal(f"{path}: there is no such file")
    if is_table(path):
        return [_of_row(s, column, path) for s in of_table(path)]
    if path.is_file():
        return [_of_file(path, path.name)]
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in _READERS)
    if not files:
        raise Refusal(f"{path}: holds no document; known are {', '.join(_READERS)}")
    return [_of_file(p, p.relative_to(path).as_posix()) for p in files]


def _of_row(seed: Seed, column: str | None, path: Path) -> Document:
    texts = [c for c, v in seed.values.items() if isinstance(v, str)]
    name = column or ("text" if "text" in seed.values else texts[0] if len(texts) == 1 else None)
    if name is None or name not in seed.values:
        raise Refusal(f"{path}: which column holds the text? {choices(column or 'text', seed.values)}")
    text = seed.values[name]
    if not isinstance(text, str) or not text.strip():
        raise Refusal(f"{path}: {seed.id}: column '{name}' holds no text")
    return Document(seed.id, str(seed.values.get("title") or seed.id), tidy(text), seed.depth, seed.source)


def _of_file(path: Path, name: str) -> Document:
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise Refusal(f"{path}: '{suffix}' is not a kind of document synthmill reads; {choices(suffix, _READERS)}")
    try:
        text = tidy(_READERS[suffix](path))
    except OSError as e:
        raise Refusal(f"{path}: {(e.strerror or str(e)).lower()}") from None
    if not text:
        raise Refusal(f"{path}: holds no text" + ("; pages that are pictures need to be recognised first" if suffix == ".pdf" else ""))  # fmt: skip
    return Document(name, path.stem, text, 0, origin(path))


def tidy(text: str) -> str:
    """Without trailing blanks, control characters and more than one empty line in a row."""
    text = re.sub(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]", "\n", text.replace("\ufeff", ""))
    text = re.sub(r"[\x00-\x08\x0e-\x1f]", "", text)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t\u00a0]+$", "", text, flags=re.M)).strip()


def _plain(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise Refusal(f"{path}: not UTF-8 text") from None


def _markdown(path: Path) -> str:
    """As it is written, without the front matter, which is about the page."""
    return re.sub(r"\A---\n.*?\n---\n", "", _plain(path), flags=re.S)


def _html(path: Path) -> str:
    """What a reader of the page sees, without what every page of a site repeats. Encoding: UTF-8, or the declared one."""
    data = path.read_bytes()
    declared = re.search(rb"<meta[^>]+charset=[\"']?([\w-]+)", data[:2048], re.I)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        try:
            text = data.decode(declared[1].decode() if declared else "utf-8")
        except (UnicodeDecodeError, LookupError):
            raise Refusal(f"{path}: neither UTF-8 nor in the encoding it declares") from None
    page = _Page()
    page.feed(text)
    page.close()
    return page.text


class _Page(HTMLParser):
    """Collects text; blocks stand apart, cells of a row are set apart by |, `pre` keeps its lines."""

    _HIDDEN = {"script", "style", "noscript", "template", "nav", "header", "footer", "aside", "svg", "head", "form"}
    _BLOCKS = {
        "p", "div", "section", "article", "main", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "pre",
        "blockquote", "figure", "figcaption", "dl",
    }  # fmt: skip
    _LINES = {"li", "tr", "br", "dt", "dd"}

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._hidden: list[str] = []
        self._pre = 0

    @property
    def text(self) -> str:
        return re.sub(r"[ \t]*\n[ \t]*(?=\n)|[ \t]+$", "\n", "".join(self._parts))

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        if tag in self._HIDDEN:
            self._hidden.append(tag)
        self._pre += tag == "pre"
        self._apart(tag)
        if tag in ("td", "th") and self._parts and not self._parts[-1].endswith("\n"):
            self._parts.append(" | ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            while self._hidden.pop() != tag:
                pass
        self._pre = max(0, self._pre - (tag == "pre"))
        self._apart(tag)

    def _apart(self, tag: str) -> None:
        if tag in self._BLOCKS:
            self._parts.append("\n\n")
        elif tag in self._LINES:
            self._parts.append("\n")

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if not self._pre:
            data = re.sub(r"\s+", " ", data)
            if not self._parts or self._parts[-1].endswith(("\n", " ")):
                data = data.lstrip()
        self._parts.append(data)


def _pdf(path: Path) -> str:
    """Page by page, a word that was divided at the end of a line joined again."""
    try:
        from pypdf import PdfReader
        from pypdf.errors import PyPdfError
    except ModuleNotFoundError:
        raise MissingExtra(f"{path}: reading PDF", "pypdf", "documents") from None
    try:
        reader = PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Refusal(f"{path}: is locked with a password")
        pages = [page.extract_text() for page in reader.pages]
    except (PyPdfError, ValueError, KeyError) as e:
        raise Refusal(f"{path}: not a readable PDF: {str(e).splitlines()[0] if str(e) else type(e).__name__}") from None
    return re.sub(r"(?<=[^\W\d])-\n(?=[^\W\d_])", "", "\n\n".join(pages))


def _docx(path: Path) -> str:
    """Paragraphs and tables in their order; a row of a table is a line."""
    try:
        import docx
        from docx.opc.exceptions import PackageNotFoundError
    except ModuleNotFoundError:
        raise MissingExtra(f"{path}: reading Word files", "python-docx", "documents") from None
    try:
        document = docx.Document(str(path))
    except (PackageNotFoundError, KeyError, ValueError) as e:
        raise Refusal(f"{path}: not a readable Word file: {str(e).splitlines()[0]}") from None
    parts = []
    for block in document.iter_inner_content():
        if hasattr(block, "rows"):
            parts.append("\n".join(" | ".join(c.text.strip() for c in row.cells) for row in block.rows))
        else:
            parts.append(block.text)
    return "\n\n".join(p for p in parts if p.strip())


_READERS: dict[str, Callable[[Path], str]] = {
    ".txt": _plain, ".md": _markdown, ".html": _html, ".htm": _html, ".pdf": _pdf, ".docx": _docx,
}  # fmt: skip
