"""Documents of every kind come out as the text that a reader sees; what cannot be read is refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synthmill.refusal import Refusal
from synthmill.texts.documents import Document, documents

BODY = "The bridge was built in 1894.\n\nIt is 210 metres long."


def pdf(text: str) -> bytes:
    """The smallest PDF that shows a line of text."""
    stream = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, places = b"%PDF-1.4\n", []
    for i, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (i, body)
    table = b"".join(b"%010d 00000 n \n" % p for p in places)
    return out + b"xref\n0 6\n0000000000 65535 f \n%strailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        table,
        len(out),
    )


def test_plain_text_is_tidied(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfOne.  \r\n\r\n\r\n\r\nTwo.\x00\r\n")
    assert documents(tmp_path / "a.txt") == [Document("a.txt", "a", "One.\n\nTwo.")]


def test_markdown_loses_its_front_matter(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\ntitle: x\n---\n# Head\n\nBody")
    assert documents(tmp_path / "a.md")[0].text == "# Head\n\nBody"


def test_html_is_what_a_reader_sees(tmp_path: Path) -> None:
    page = """<html><head><title>no</title><style>p {}</style></head><body><nav>Menu <b>here</b></nav>
    <h1>Bridges</h1><p>Built  in\n1894 &amp; <b>long</b>er.</p><ul><li>one<li>two</ul>
    <table><tr><td>a</td><td>b</td></tr></table><script>var x = "<p>no</p>"</script><pre>x\n  y</pre></body></html>"""
    (tmp_path / "a.html").write_text(page)
    text = documents(tmp_path / "a.html")[0].text
    assert text.startswith("Bridges\n\nBuilt in 1894 & longer.\n\none\ntwo")
    assert "\na | b\n" in text
    assert text.endswith("x\n  y")
    assert not any(w in text for w in ("Menu", "here", "no", "var"))


def test_html_in_the_encoding_it_declares(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes('<meta charset="latin-1"><p>Brücke'.encode("latin-1"))
    assert documents(tmp_path / "a.html")[0].text == "Brücke"
    (tmp_path / "b.html").write_bytes("<p>Brücke".encode("latin-1"))
    with pytest.raises(Refusal, match="neither UTF-8 nor in the encoding it declares"):
        documents(tmp_path / "b.html")


def test_pdf(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("Built in 1894."))
    assert documents(tmp_path / "a.pdf")[0].text == "Built in 1894."
    (tmp_path / "b.pdf").write_bytes(pdf(""))
    with pytest.raises(Refusal, match=r"b\.pdf: holds no text; pages that are pictures"):
        documents(tmp_path / "b.pdf")
    (tmp_path / "c.pdf").write_bytes(b"no pdf at all")
    with pytest.raises(Refusal, match=r"c\.pdf: not a readable PDF"):
        documents(tmp_path / "c.pdf")


def test_word_keeps_the_order_of_paragraphs_and_tables(tmp_path: Path) -> None:
    import docx

    made = docx.Document()
    made.add_paragraph("Before.")
    table = made.add_table(1, 2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "year", "1894"
    made.add_paragraph("After.")
    made.save(str(tmp_path / "a.docx"))
    assert documents(tmp_path / "a.docx")[0].text == "Before.\n\nyear | 1894\n\nAfter."
    (tmp_path / "b.docx").write_bytes(b"no archive")
    with pytest.raises(Refusal, match=r"b\.docx: not a readable Word file"):
        documents(tmp_path / "b.docx")


def test_a_folder_in_order_of_path(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.txt").write_text("B")
    (tmp_path / "a.md").write_text("A")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert [(d.id, d.text) for d in documents(tmp_path)] == [("a.md", "A"), ("sub/b.txt", "B")]


def test_a_table_with_a_document_a_row(tmp_path: Path) -> None:
    rows = [{"id": "one", "title": "First", "text": BODY, "licence": "CC0"}, {"id": "two", "text": "Other."}]
    (tmp_path / "d.jsonl").write_text("\n".join(json.dumps(r) for r in rows))
    found = documents(tmp_path / "d.jsonl")
    assert [(d.id, d.title, d.depth) for d in found] == [("one", "First", 0), ("two", "two", 0)]
    assert documents(tmp_path / "d.jsonl", "id")[0].text == "one"
    (tmp_path / "e.jsonl").write_text('{"a": "x", "b": "y"}')
    with pytest.raises(Refusal, match=r"which column holds the text\? .*Choices: a, b"):
        documents(tmp_path / "e.jsonl")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"", "holds no text"),
        ("a.txt", b"Br\xfccke", "not UTF-8 text"),
        ("a.xyz", b"x", "'.xyz' is not a kind of document"),
        ("a.jsonl", b"{]", "line 1: not JSON"),
        ("a.jsonl", b"[1]", "line 1: list where an object is expected"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Refusal, match=said):
        documents(tmp_path / name)
    with pytest.raises(Refusal, match="there is no such file"):
        documents(tmp_path / "nowhere")
