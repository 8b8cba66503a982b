import pickle

import polars as pl
import pytest

from synthmill.filter.pii import Pii
from synthmill.plugins import build
from synthmill.refusal import Refusal
from synthmill.schema import Column, Schema
from synthmill.texts import checksums
from synthmill.texts.identifiers import ENTITIES, find

FOUND = [
    ("EMAIL_ADDRESS", "write to jo.doe+x@mail.uni-bonn.de, please"),
    ("EMAIL_ADDRESS", "jo (at) gmail [dot] com"),
    ("EMAIL_ADDRESS", "mailto:müller@firma.de"),
    ("CREDIT_CARD", "4539 1488 0343 6467"),
    ("CREDIT_CARD", "card no 4539-1488-0343-6467."),
    ("IBAN_CODE", "GB29 NWBK 6016 1331 9268 19 please"),
    ("IBAN_CODE", "de75512108001245126199"),
    ("US_SSN", "it is 856-45-6789."),
    ("US_SSN", "SSN: 856456789"),
    ("US_ITIN", "912-70-1234"),
    ("PHONE_NUMBER", "+49 (0)30 901820"),
    ("PHONE_NUMBER", "ring (978) 645-9740x11144"),
    ("PHONE_NUMBER", "call me on 785 8949"),
    ("PHONE_NUMBER", "06-10446904 is my mobile"),
    ("IP_ADDRESS", "from 86.231.85.193."),
    ("IP_ADDRESS", "the host 1.2.3.4"),
    ("IP_ADDRESS", "3b20:9a3a:1b2f:7ce:9ef1:4787:85fc:261e"),
    ("MAC_ADDRESS", "00:1B:44:11:3A:B7"),
    ("CRYPTO", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    ("UK_NHS", "NHS number 943 476 5919"),
    ("ES_NIF", "12345678Z"),
    ("IT_FISCAL_CODE", "RSSMRA85T10A562S"),
    ("PL_PESEL", "PESEL 44051401359"),
    ("BR_CPF", "529.982.247-25"),
    ("IN_AADHAAR", "2341 2341 2346"),
    ("FR_NIR", "2 55 08 14 168 025 38"),
    ("NL_BSN", "bsn 111222333"),
    ("US_DRIVER_LICENSE", "my driver's license is A56319335"),
    ("PASSPORT", "passport number C01234567"),
    ("SECRET", "key AKIAIOSFODNN7EXAMPLE"),
]  # fmt: skip
INNOCENT = [
    "The meeting is on 2010-01-31 at 12:30:45, room 4.4.1.3.", "It cost 1,234,567.89 in 1939-1945.", "ISBN 978-3-16-148410-0",
    "GB29 NWBK 6016 1331 9268 18", "4539 1488 0343 6468", "000-12-3456", "666-45-6789", "version 86.231.85.193", "list[1::2]",
    "23786 - 17509 = 6277, the number of children is 6277", "pi is 3.14159265358979", "a@b", "user@localhost", "@handle",
    "1111 1111 1111 1111", "12345678A", "300.300.300.300", "std::vector::push", "5.1.9.1 Multi-Factor", "order 111222333",
    "RSSMRA85T10A562T", "call_stack 156641360518804", "one 123 two 456",
]  # fmt: skip
RESERVED = [
    "help@example.com", "x@mail.example.org", "4111 1111 1111 1111", "+1 212 555-0123", "192.0.2.17", "127.0.0.1",
    "192.168.17.44", "078-05-1120", "2001:db8:85a3::8a2e:370:7334", "GB82 WEST 1234 5698 7654 32",
]  # fmt: skip


@pytest.mark.parametrize(("entity", "text"), FOUND)
def test_what_is_personal_is_found_and_named(entity, text):
    assert {f.entity for f in find(text)} == {entity}


def test_every_kind_has_a_case():
    assert {e for e, _ in FOUND} == set(ENTITIES)


@pytest.mark.parametrize("text", INNOCENT)
def test_what_only_looks_personal_is_none(text):
    assert find(text, reserved=True) == []


@pytest.mark.parametrize("text", RESERVED)
def test_what_is_set_aside_for_examples_counts_only_if_asked(text):
    assert find(text) == []
    assert len(find(text, reserved=True)) == 1


def test_places_are_those_of_the_text_and_none_overlaps():
    text = "Jo: jo@gmail.com, +49 30 901820, GB29 NWBK 6016 1331 9268 19 now"
    assert [text[f.start : f.end] for f in find(text)] == [
        "jo@gmail.com",
        "+49 30 901820",
        "GB29 NWBK 6016 1331 9268 19",
    ]


@pytest.mark.parametrize(
    ("check", "number"),
    [(checksums.card, "4539148803436467"), (checksums.iban, "GB29NWBK60161331926819"), (checksums.nhs, "9434765919"),
     (checksums.pesel, "44051401359"), (checksums.cpf, "52998224725"), (checksums.aadhaar, "234123412346"),
     (checksums.nir, "255081416802538"), (checksums.bsn, "111222333")],
)  # fmt: skip
def test_a_wrong_digit_is_no_number(check, number):
    """Every one of these check digits finds every single wrong digit in its place."""
    assert check(number)
    for i, c in enumerate(number):
        if c.isdigit():
            wrong = [number[:i] + str((int(c) + d) % 10) + number[i + 1 :] for d in range(1, 10)]
            assert not any(map(check, wrong)), i


def test_the_reason_says_what_and_where_but_not_the_value():
    verdicts = Pii().judge(pl.DataFrame({"a": ["mail jo@gmail.com", "nothing", None]}))
    assert verdicts.status.to_list() == [1, 0, 0]
    assert verdicts.reason.to_list() == ["EMAIL_ADDRESS at 5-17", None, None]
    assert Pii.private


def test_entities_are_chosen_by_name():
    frame = pl.DataFrame({"a": ["jo@gmail.com", "+49 30 901820"]})
    assert Pii(entities=["PHONE_NUMBER"]).judge(frame).status.to_list() == [0, 1]
    with pytest.raises(Refusal, match="did you mean 'PHONE_NUMBER'"):
        build("filter", {"use": "pii", "entities": ["PHONE"]})


def test_regenerated_personal_columns_are_left_out():
    schema = Schema((Column("mail", "personal", "String", format="email"), Column("note", "text", "String")))
    frame = pl.DataFrame({"mail": ["jo@gmail.com", "ann@gmail.com"], "note": ["fine", "ask ann@gmail.com"]})
    check = Pii()
    check.expect(frame.schema)
    check.fit(frame, schema)
    assert check.judge(frame).status.to_list() == [0, 1]
    assert Pii(columns=["mail"]).judge(frame).status.to_list() == [1, 1]


def test_long_runs_of_what_patterns_begin_with_end_soon():
    """Patterns that backtrack over such text would take hours."""
    for piece in ("1", "1-", "(1", "a@", "a.", "x@a.", ":", "f:", "12 ", "GB12 ", "+1(2)", "%", "A"):
        find(piece * (20_000 // len(piece)))


def test_without_presidio_one_sentence_names_the_extra():
    try:
        import presidio_analyzer  # noqa: F401
    except ImportError:
        with pytest.raises(Refusal, match=r"synthmill\[presidio\]"):
            build("filter", {"use": "pii", "engine": "presidio"})
    else:
        check = build("filter", {"use": "pii", "engine": "presidio"})
        frame = pl.DataFrame({"a": ["mail jo@gmail.com", "nothing at all"]})
        assert check.judge(frame).status.to_list() == [1, 0]
        assert pickle.loads(pickle.dumps(check)).judge(frame).status.to_list() == [1, 0]
    with pytest.raises(Refusal, match="only engine: presidio"):
        build("filter", {"use": "pii", "model": "en_core_web_sm"})
