"""Check digits of the numbers that name people, cards and accounts. Each takes the number as written, separators included."""

from __future__ import annotations

import hashlib
import re

_VERHOEFF_D = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 4, 0, 6, 7, 8, 9, 5], [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7], [4, 0, 1, 2, 3, 9, 5, 6, 7, 8], [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2], [7, 6, 5, 9, 8, 2, 1, 0, 4, 3], [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
]  # fmt: skip
_VERHOEFF_P = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 5, 7, 6, 2, 8, 3, 0, 9, 4], [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
    [8, 9, 1, 6, 0, 4, 3, 5, 2, 7], [9, 4, 5, 3, 1, 2, 6, 8, 7, 0], [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
    [2, 7, 9, 3, 8, 0, 6, 4, 1, 5], [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
]  # fmt: skip
_FISCAL_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
         10, 22, 25, 24, 23],
        strict=True,
    )
)  # fmt: skip
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28,
    "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
    "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24,
    "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26,
    "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip


def digits(text: str) -> list[int]:
    return [int(c) for c in text if c.isascii() and c.isdigit()]


def luhn(text: str) -> bool:
    """ISO/IEC 7812-1, of payment cards."""
    d = digits(text)
    doubled = sum(sum(divmod(2 * x, 10)) for x in d[-2::-2])
    return len(d) > 1 and (sum(d[-1::-2]) + doubled) % 10 == 0


_CARDS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|(?:222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11,16}|35(?:2[89]|[3-8]\d)\d{12,15}|6(?:011|4[4-9]\d|5\d\d|2\d\d)\d{12,15}"
    r"|(?:5018|5020|5038|5[678]\d\d|6304|67\d\d)\d{8,15}|(?:1800|2131)\d{11}"
)


def card(text: str) -> bool:
    """A number of one of the card networks, of its length, with its check digit, and not one digit over and over."""
    plain = "".join(map(str, digits(text)))
    return bool(_CARDS.fullmatch(plain)) and len(set(plain)) > 1 and luhn(plain)


def iban_length(country: str) -> int | None:
    """Characters of an account number of a country in ISO 13616's registry; None outside it."""
    return _IBAN_LENGTHS.get(country.upper())


def iban(text: str) -> bool:
    """ISO 13616: its country's length, and 1 modulo 97 once the first four characters stand at the end."""
    plain = re.sub(r"[ -]", "", text).upper()
    if not plain.isascii() or not plain.isalnum() or len(plain) != iban_length(plain[:2]):
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def ssn(text: str) -> bool:
    """A number the Social Security Administration may have issued: area, group and serial that exist (no check digit)."""
    d = "".join(map(str, digits(text)))
    return len(d) == 9 and d[:3] not in ("000", "666") and d[0] != "9" and d[3:5] != "00" and d[5:] != "0000"


def itin(text: str) -> bool:
    """The Internal Revenue Service's numbers: an area of 9xx and the groups in use."""
    d = "".join(map(str, digits(text)))
    group = int(d[3:5]) if len(d) == 9 else 0
    return len(d) == 9 and d[0] == "9" and (50 <= group <= 65 or (70 <= group <= 99 and group not in (89, 93)))


def nhs(text: str) -> bool:
    """Modulo 11 with the weights 10 to 2."""
    d = digits(text)
    return len(d) == 10 and (11 - sum(x * w for x, w in zip(d, range(10, 1, -1), strict=False)) % 11) % 11 == d[9]


def nif(text: str) -> bool:
    """Spain's NIF and NIE: the letter is the number modulo 23."""
    plain = re.sub(r"[ .-]", "", text).upper()
    if not re.fullmatch(r"[\dXYZ]\d{7}[A-Z]", plain):
        return False
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(plain[:-1].translate(str.maketrans("XYZ", "012"))) % 23] == plain[-1]


def fiscal_code(text: str) -> bool:
    """Italy's codice fiscale: odd places count by a table of their own; the last letter is the sum modulo 26."""
    plain = text.upper()
    if not re.fullmatch(r"[A-Z]{6}[\dLMNPQRSTUV]{2}[ABCDEHLMPRST][\dLMNPQRSTUV]{2}[A-Z][\dLMNPQRSTUV]{3}[A-Z]", plain):
        return False
    even = sum(int(c) if c.isdigit() else ord(c) - 65 for c in plain[1:15:2])
    return chr(65 + (even + sum(_FISCAL_ODD[c] for c in plain[0:15:2])) % 26) == plain[-1]


def pesel(text: str) -> bool:
    """Poland: weights 1, 3, 7, 9, and a month that exists in one of the five centuries."""
    d = digits(text)
    if len(d) != 11 or not 1 <= (d[2] * 10 + d[3]) % 20 <= 12:
        return False
    return sum(x * w for x, w in zip(d, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), strict=True)) % 10 == 0


def cpf(text: str) -> bool:
    """Brazil: two check digits modulo 11; one digit over and over is none."""
    d = digits(text)
    if len(d) != 11 or len(set(d)) == 1:
        return False
    return all(sum(x * w for x, w in zip(d, range(n + 1, 1, -1), strict=False)) * 10 % 11 % 10 == d[n] for n in (9, 10))


def aadhaar(text: str) -> bool:
    """India: Verhoeff (1969), which finds every single wrong digit and every swap of neighbours."""
    d = digits(text)
    total = 0
    for i, x in enumerate(reversed(d)):
        total = _VERHOEFF_D[total][_VERHOEFF_P[i % 8][x]]
    return len(d) == 12 and d[0] > 1 and total == 0


def nir(text: str) -> bool:
    """France: the key is 97 less the number modulo 97; Corsica's 2A and 2B count as 19 and 18."""
    plain = re.sub(r"\s", "", text).upper()
    if not re.fullmatch(r"[12]\d{2}(?:0[1-9]|1[0-2]|[2-9]\d)\d[\dAB]\d{8}", plain):
        return False
    number = plain[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(plain[13:])


def bsn(text: str) -> bool:
    """The Netherlands' eleven test."""
    d = digits(text)
    return len(d) == 9 and any(d) and (sum(x * w for x, w in zip(d, range(9, 1, -1), strict=False)) - d[8]) % 11 == 0


def bitcoin(text: str) -> bool:
    """Base58Check: the last four bytes are the double SHA-256 of what stands before them."""
    value = 0
    for c in text:
        if c not in _BASE58:
            return False
        value = value * 58 + _BASE58.index(c)
    if value.bit_length() > 200:
        return False
    raw = value.to_bytes(25, "big")
    return hashlib.sha256(hashlib.sha256(raw[:21]).digest()).digest()[:4] == raw[21:]
