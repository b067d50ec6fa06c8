"""Codes of countries: ISO 3166 alpha-2 by alpha-2, alpha-3, and the names that people write."""

import re
import unicodedata
from functools import cache

_COUNTRIES = """
AD AND Andorra; AE ARE United Arab Emirates|UAE; AF AFG Afghanistan; AG ATG Antigua and Barbuda; AI AIA Anguilla;
AL ALB Albania; AM ARM Armenia; AO AGO Angola; AQ ATA Antarctica; AR ARG Argentina; AS ASM American Samoa;
AT AUT Austria|Österreich; AU AUS Australia; AW ABW Aruba; AX ALA Åland Islands; AZ AZE Azerbaijan;
BA BIH Bosnia and Herzegovina; BB BRB Barbados; BD BGD Bangladesh; BE BEL Belgium|België|Belgique;
BF BFA Burkina Faso; BG BGR Bulgaria; BH BHR Bahrain; BI BDI Burundi; BJ BEN Benin; BL BLM Saint Barthélemy;
BM BMU Bermuda; BN BRN Brunei Darussalam|Brunei; BO BOL Bolivia|Bolivia, Plurinational State of;
BQ BES Bonaire, Sint Eustatius and Saba|Caribbean Netherlands; BR BRA Brazil|Brasil; BS BHS Bahamas; BT BTN Bhutan;
BV BVT Bouvet Island; BW BWA Botswana; BY BLR Belarus; BZ BLZ Belize; CA CAN Canada;
CC CCK Cocos (Keeling) Islands|Cocos Islands; CD COD Congo, The Democratic Republic of the|DR Congo|Congo-Kinshasa;
CF CAF Central African Republic; CG COG Congo; CH CHE Switzerland|Schweiz|Suisse|Svizzera;
CI CIV Côte d'Ivoire|Ivory Coast; CK COK Cook Islands; CL CHL Chile; CM CMR Cameroon;
CN CHN China|People's Republic of China|中国; CO COL Colombia; CR CRI Costa Rica; CU CUB Cuba;
CV CPV Cabo Verde|Cape Verde; CW CUW Curaçao; CX CXR Christmas Island; CY CYP Cyprus;
CZ CZE Czechia|Czech Republic|Česko; DE DEU Germany|Deutschland; DJ DJI Djibouti; DK DNK Denmark|Danmark;
DM DMA Dominica; DO DOM Dominican Republic; DZ DZA Algeria; EC ECU Ecuador; EE EST Estonia; EG EGY Egypt;
EH ESH Western Sahara; ER ERI Eritrea; ES ESP Spain|España; ET ETH Ethiopia; FI FIN Finland|Suomi; FJ FJI Fiji;
FK FLK Falkland Islands (Malvinas)|Falkland Islands; FM FSM Micronesia, Federated States of|Micronesia;
FO FRO Faroe Islands; FR FRA France; GA GAB Gabon;
GB GBR United Kingdom|UK|Great Britain|Britain|England|Scotland|Wales|Northern Ireland;
GD GRD Grenada; GE GEO Georgia; GF GUF French Guiana; GG GGY Guernsey; GH GHA Ghana; GI GIB Gibraltar;
GL GRL Greenland; GM GMB Gambia; GN GIN Guinea; GP GLP Guadeloupe; GQ GNQ Equatorial Guinea; GR GRC Greece|Ελλάδα;
GS SGS South Georgia and the South Sandwich Islands; GT GTM Guatemala; GU GUM Guam; GW GNB Guinea-Bissau;
GY GUY Guyana; HK HKG Hong Kong|Hong Kong SAR; HM HMD Heard Island and McDonald Islands; HN HND Honduras;
HR HRV Croatia|Hrvatska; HT HTI Haiti; HU HUN Hungary|Magyarország; ID IDN Indonesia;
IE IRL Ireland|Éire|Republic of Ireland; IL ISR Israel; IM IMN Isle of Man; IN IND India;
IO IOT British Indian Ocean Territory; IQ IRQ Iraq; IR IRN Iran|Iran, Islamic Republic of|Islamic Republic of Iran;
IS ISL Iceland; IT ITA Italy|Italia; JE JEY Jersey; JM JAM Jamaica; JO JOR Jordan; JP JPN Japan|日本; KE KEN Kenya;
KG KGZ Kyrgyzstan; KH KHM Cambodia; KI KIR Kiribati; KM COM Comoros; KN KNA Saint Kitts and Nevis;
KP PRK North Korea|Korea, Democratic People's Republic of;
KR KOR South Korea|Korea, Republic of|Republic of Korea|Korea|대한민국|한국; KW KWT Kuwait; KY CYM Cayman Islands;
KZ KAZ Kazakhstan; LA LAO Laos|Lao People's Democratic Republic; LB LBN Lebanon; LC LCA Saint Lucia;
LI LIE Liechtenstein; LK LKA Sri Lanka; LR LBR Liberia; LS LSO Lesotho; LT LTU Lithuania; LU LUX Luxembourg;
LV LVA Latvia; LY LBY Libya; MA MAR Morocco; MC MCO Monaco; MD MDA Moldova|Moldova, Republic of; ME MNE Montenegro;
MF MAF Saint Martin (French part)|Saint Martin; MG MDG Madagascar; MH MHL Marshall Islands;
MK MKD North Macedonia|Macedonia; ML MLI Mali; MM MMR Myanmar|Burma; MN MNG Mongolia; MO MAC Macao|Macau;
MP MNP Northern Mariana Islands; MQ MTQ Martinique; MR MRT Mauritania; MS MSR Montserrat; MT MLT Malta;
MU MUS Mauritius; MV MDV Maldives; MW MWI Malawi; MX MEX Mexico; MY MYS Malaysia; MZ MOZ Mozambique;
NA NAM Namibia; NC NCL New Caledonia; NE NER Niger; NF NFK Norfolk Island; NG NGA Nigeria; NI NIC Nicaragua;
NL NLD Netherlands|Holland|Nederland; NO NOR Norway|Norge; NP NPL Nepal; NR NRU Nauru; NU NIU Niue;
NZ NZL New Zealand; OM OMN Oman; PA PAN Panama; PE PER Peru; PF PYF French Polynesia; PG PNG Papua New Guinea;
PH PHL Philippines; PK PAK Pakistan; PL POL Poland|Polska; PM SPM Saint Pierre and Miquelon; PN PCN Pitcairn;
PR PRI Puerto Rico; PS PSE Palestine, State of|Palestine; PT PRT Portugal; PW PLW Palau; PY PRY Paraguay;
QA QAT Qatar; RE REU Réunion; RO ROU Romania; RS SRB Serbia; RU RUS Russian Federation|Russia|Россия;
RW RWA Rwanda; SA SAU Saudi Arabia; SB SLB Solomon Islands; SC SYC Seychelles; SD SDN Sudan; SE SWE Sweden|Sverige;
SG SGP Singapore; SH SHN Saint Helena, Ascension and Tristan da Cunha; SI SVN Slovenia;
SJ SJM Svalbard and Jan Mayen; SK SVK Slovakia; SL SLE Sierra Leone; SM SMR San Marino; SN SEN Senegal;
SO SOM Somalia; SR SUR Suriname; SS SSD South Sudan; ST STP Sao Tome and Principe; SV SLV El Salvador;
SX SXM Sint Maarten (Dutch part)|Sint Maarten; SY SYR Syria|Syrian Arab Republic; SZ SWZ Eswatini|Swaziland;
TC TCA Turks and Caicos Islands; TD TCD Chad; TF ATF French Southern Territories; TG TGO Togo; TH THA Thailand;
TJ TJK Tajikistan; TK TKL Tokelau; TL TLS Timor-Leste|East Timor; TM TKM Turkmenistan; TN TUN Tunisia;
TO TON Tonga; TR TUR Türkiye|Turkey; TT TTO Trinidad and Tobago; TV TUV Tuvalu;
TW TWN Taiwan|Taiwan, Province of China|台灣; TZ TZA Tanzania|Tanzania, United Republic of; UA UKR Ukraine|Україна;
UG UGA Uganda; UM UMI United States Minor Outlying Islands; US USA United States|United States of America|America;
UY URY Uruguay; UZ UZB Uzbekistan; VA VAT Holy See (Vatican City State)|Vatican City|Vatican|Holy See;
VC VCT Saint Vincent and the Grenadines; VE VEN Venezuela|Venezuela, Bolivarian Republic of;
VG VGB Virgin Islands, British|British Virgin Islands; VI VIR Virgin Islands, U.S.|US Virgin Islands;
VN VNM Vietnam|Viet Nam; VU VUT Vanuatu; WF WLF Wallis and Futuna; WS WSM Samoa; YE YEM Yemen; YT MYT Mayotte;
ZA ZAF South Africa|RSA; ZM ZMB Zambia; ZW ZWE Zimbabwe
"""
"""Countries: alpha-2, alpha-3 and names, the usual English ones first."""


def meant_country(text: str) -> str | None:
    """Return the alpha-2 code that a text means, in any case: `de`, `DEU`, `Germany`, `UK`; None for any other text."""
    return _codes().get(_bare(text))


@cache
def _codes() -> dict[str, str]:
    codes: dict[str, str] = {}
    for country in _COUNTRIES.replace("\n", " ").split(";"):
        alpha_2, alpha_3, names = country.strip().split(" ", 2)
        codes |= dict.fromkeys((_bare(name) for name in (alpha_2, alpha_3, *names.split("|"))), alpha_2)
    return codes


def _bare(name: str) -> str:
    """Return a name without accents, signs, blanks and its article, in lower case."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "", re.sub(r"^the\s", "", plain.casefold().strip()))
