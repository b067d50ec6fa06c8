"""Names of countries: what people write is the code that it means, and nothing else is one."""

import pytest

from unified_ranker.log.column_types import is_country
from unified_ranker.log.country_codes import meant_country
from unified_ranker.log.row_rules import country_remedy

MEANT = {
    "DE": ["de", "DEU", "Germany", "GERMANY ", "Deutschland"],
    "GB": ["UK", "United Kingdom", "gbr", "Great Britain", "England"],
    "US": ["usa", "U.S.A.", "United States", "United States of America"],
    "NL": ["The Netherlands", "Netherlands", "Holland"],
    "CI": ["Côte d'Ivoire", "COTE D IVOIRE", "Ivory Coast"],
    "KR": ["South Korea", "Korea, Republic of", "KOR"],
    "IE": ["EIRE", "Ireland"],
    "CZ": ["Czech Republic", "Czechia"],
    "NA": ["NA", "Namibia"],
    None: ["", "unknown", "Unspecified", "European Community", "XX", "CA, USA", "Germany, France"],
}


@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in MEANT.items() for text in texts])
def test_a_name_is_the_code_that_it_means(code, text):
    assert meant_country(text) == code
    assert code is None or is_country(code)


def test_the_remedy_maps_the_names_that_were_found():
    remedy = country_remedy("users", ["Germany", "Österreich", "somewhere"])
    line = '`data.columns.users.country: {column: country, values: {"Germany": "DE", "Österreich": "AT", "somewhere": '
    assert line + '"null"}}`' in remedy
