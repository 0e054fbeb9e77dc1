"""Numbers as they are dialled in countries, and in the form that all of them have."""

import phonenumbers
import pytest

from oneproxy.site.countries import Country, find_country


@pytest.mark.parametrize(
    ("country", "dialled", "number"),
    [
        ("PT", "912345678", "+351912345678"),
        ("PT", "00447911123456", "+447911123456"),
        ("PT", "+447911123456", "+447911123456"),
        ("DE", "0301234567", "+49301234567"),
        ("US", "2015550123", "+12015550123"),
        ("US", "12015550123", "+12015550123"),
        ("US", "011351912345678", "+351912345678"),
        ("IT", "0612345678", "+390612345678"),
        # By the library: more than one prefix, prefixes that choose a carrier, digits that move.
        ("GB", "02079460000", "+442079460000"),
        ("GB", "00351912345678", "+351912345678"),
        ("BR", "0311161234567", "+551161234567"),
        ("AR", "0111551234567", "+5491151234567"),
        ("AU", "0011351912345678", "+351912345678"),
    ],
)
def test_what_is_dialled_is_read(country: str, dialled: str, number: str) -> None:
    assert find_country(country).read(dialled) == number


@pytest.mark.parametrize(
    ("country", "dialled"),
    [
        ("PT", "112"),
        ("PT", "1820"),
        ("PT", "*21"),
        ("PT", "alice"),
        ("PT", ""),
        ("PT", "00"),
        ("PT", "000912345678"),
        ("PT", "9" * 40),
        # Of the town or of the office: nobody says which.
        ("DE", "1234567"),
        ("GB", "2079460"),
        ("GB", "9" * 40),
        ("US", "911"),
        ("US", "5550123"),
    ],
)
def test_what_is_no_whole_number_stays(country: str, dialled: str) -> None:
    assert find_country(country).read(dialled) == dialled


@pytest.mark.parametrize(
    ("country", "number", "dialled"),
    [
        ("PT", "+351912345678", "912345678"),
        ("PT", "+447911123456", "00447911123456"),
        ("DE", "+49301234567", "0301234567"),
        ("US", "+12015550123", "2015550123"),
        ("US", "+351912345678", "011351912345678"),
        ("AR", "+5491151234567", "0111551234567"),
        ("AU", "+351912345678", "0011351912345678"),
        ("PT", "112", "112"),
    ],
)
def test_a_number_is_written_as_it_is_dialled(country: str, number: str, dialled: str) -> None:
    assert find_country(country).write(number) == dialled


@pytest.mark.parametrize("name", ["", "pt", "XX", "PRT", "ﬀ", "001"])
def test_an_unknown_country_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no country"):
        find_country(name)


@pytest.mark.parametrize("name", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_every_country_reads_its_example_as_the_library_does(name: str) -> None:
    example = phonenumbers.example_number(name)
    if example is None:
        pytest.fail(f"no example for {name}")
    country = Country(name)
    number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    written = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)
    national = "".join(character for character in written if character.isdecimal())
    assert country.read(number) == number
    assert country.read(f"{country.international}{number[1:]}") == number
    # What a country dials within itself is read back, or, where that has no prefix that tells, left.
    assert country.read(national) in (number, national)
    if country.national and national.startswith(country.national):
        assert country.read(national) == number
    assert country.read(country.write(number)) in (number, country.write(number))
