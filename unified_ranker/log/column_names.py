"""Names of columns: the column of the interaction log that a name from elsewhere means.

The names are those of shops, media, published logs and the languages that they are kept in. A name is compared as
words: `visitorid`, `VisitorID` and `id_visitor` are one. `project.init` looks at the values besides.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from functools import cache

from unified_ranker.core.errors import nearest

OWN, SPELT, HEAD = 3, 2, 1
"""Fit of a name to a column: it is the column's own; it is a known spelling; its main word is one."""
TYPO = 0.8
"""Likeness of two names from which one is the other mistyped; `product_id` and `request_id` have 0.7."""
_AFFIXES = frozenset(
    {
        *("id", "ids", "nr", "no", "num", "number", "nummer", "key", "code", "cod", "codigo", "uuid", "guid"),
        *("hash", "idx", "index", "pk", "sk"),
    }
)
"""Words that say that a column holds identifiers, not of what."""

_USERS = (
    "user usr uid visitor customer cust shopper buyer client member reviewer subscriber viewer listener reader player",
    "guest account acct profile person people household householdkey consumer contact cookieid deviceid anonymousid",
    "passenger traveller traveler patient student employee fullvisitor userpseudo cardholder",
    "benutzer nutzer kunde kunden besucher kaufer usuario cliente comprador utilisateur acheteur visiteur utente",
    "gebruiker klant bezoeker kullanici musteri uzytkownik klient uzivatel zakaznik bruker kund",
    "polzovatel yonghu 用户 顾客 kokyaku ユーザー пользователь клиент",
)
_ITEMS = (
    "item product prod article asin parentasin sku book movie film track song video business venue poi content",
    "news post recipe hotel listing restaurant show episode game app album artist anime course job question",
    "document doc offer good goods merchandise stock stockcode isbn ean upc gtin variant title_id titleid media",
    "podcast playlist program programme tvshow property accommodation place location spot stream joke beer wine dish",
    "repo repository page url iid pid creative ad banner object entity",
    "artikel produkt produto producto articulo produit prodotto buch livre libro livro ware urun towar",
    "zbozi vare товар 商品 shohin shangpin",
)
_SESSIONS = ("session usersession sess sid visit visitid sitzung sesion seance sessao",)
_REQUESTS = ("request req impression imp serp slate recommendation rec search pageview page_view queryid",)
_TIMES = (
    "timestamp time datetime eventtime ts eventtimestamp eventdate eventdatetime unixreviewtime date tdat t_dat",
    "createdat created creationtime creationdate dateadded addedat occurredat happenedat servertime clienttime utime",
    "orderdate ordertime purchasedate purchasetime transactiondate transactiontime invoicedate reviewdate reviewtime",
    "viewedat clickedat playedat watchedat listenedat startedat starttime visittime visitdate ratedat when at day",
    "zeit zeitpunkt datum uhrzeit zeitstempel bestelldatum kaufdatum fecha hora fechahora fechacompra heure horodatage",
    "dateachat dateheure data dataora datahora datacompra tarih zaman vreme cas tijd tijdstip tid dato",
    "时间 日期 время дата",
)
_EVENT_TYPES = (
    "eventtype event_type action actiontype behavior behaviour behaviortype behaviourtype interaction interactiontype",
    "eventname event useraction activity activitytype eventaction verb type kind operation op feedback feedbacktype",
    "ereignis aktion evento accion tipoevento action_type evenement azione tipo acao olay 行为",
    "действие",
)
_TASKS = ("task surface placement pagetype screen widget scenario feedname",)
_QUERIES = (
    "query searchquery searchterm searchterms searchtext searchphrase searchstring searchkeyword keyword keywords q",
    "term querytext rawquery userquery searchinput suchbegriff suchanfrage busqueda consulta recherche ricerca",
    "zoekterm",
)
_SOURCES = (
    "sourceitem source sourceproduct contextitem anchor anchoritem seed seeditem reference referenceitem referringitem",
    "fromitem previousitem previousproduct refitem origin originitem parentitem currentitem viewingitem",
)
_QUERY_ITEMS = ("queryitem questionitem",)
_COUNTRIES = (
    "country countrycode countryiso isocountry nation geocountry usercountry customercountry shipcountry",
    "land landcode laenderkennzeichen pais codpais pays codepays paese ulke kraj 国家 страна",
)
_VALUES = (
    "rating ratings score stars star overall starrating reviewscore ratingvalue userrating rate grade vote",
    "value strength points preference relevance note bewertung punktzahl puntuacion calificacion nota voto valutazione",
    "puan ocena 评分 оценка",
)
_POSITIONS = (
    "position pos rank slot positioninlist listposition rankposition clickposition clickedposition displayposition",
)
_TITLES = (
    "title itemtitle producttitle booktitle movietitle tracktitle originaltitle headline",
    "name productname prodname itemname articlename businessname moviename bookname trackname songname venuename",
    "displayname label caption designation productdisplayname description",
    "titel bezeichnung artikelbezeichnung produktname titulo nombre nombreproducto titre nom libelle titolo nome",
    "denominazione baslik ad_urun nazwa nazev navn namn 标题 名称 название",
)
_CREATED = (
    "createdat created creationdate creationtime dateadded addedat datecreated publishedat published publishdate",
    "publicationdate pubdate publishtime releasedate released launchdate launchedat listedat listingdate firstseen",
    "firstavailable onlinesince availablesince availablefrom activefrom uploaddate uploadedat postedat dateposted",
    "registered registeredat registrationdate signupdate signup signedupat joined joindate joinedat membersince",
    "yelpingsince since erstellt angelegt erschienen veroffentlicht fechaalta fechacreacion datecreation dateajout",
    "dataregistrazione datacriacao",
)
_CATEGORIES = (
    "categories category genres genre tags tag topics topic categorypath categoryname productcategory taxonomy",
    "breadcrumbs breadcrumb labels subjects shelves cuisines categorycode",
    "kategorien kategorie kategori categorias categoria categorie generos genero generi mots_cles etiquetas rubriken",
)

_LEXICON: dict[str, dict[str, tuple[str, ...]]] = {
    "events": {
        "user_id": _USERS,
        "session_id": _SESSIONS,
        "item_id": _ITEMS,
        "task": _TASKS,
        "event_type": _EVENT_TYPES,
        "timestamp": _TIMES,
        "query": _QUERIES,
        "source_item_id": _SOURCES,
        "query_item_id": _QUERY_ITEMS,
        "country": _COUNTRIES,
        "value": _VALUES,
        "request_id": _REQUESTS,
        "position": _POSITIONS,
        "event_id": ("event_uuid event_guid",),
    },
    "items": {
        "item_id": ("id", *_ITEMS),
        "title": _TITLES,
        "created_at": _CREATED,
        "categories": _CATEGORIES,
    },
    "users": {
        "user_id": ("id", *_USERS),
        "country": _COUNTRIES,
        "created_at": _CREATED,
    },
}
_IDENTIFIERS = frozenset({"user_id", "session_id", "item_id", "source_item_id", "query_item_id", "request_id"})
_OF_SUBJECTS = frozenset({"value", "query"})
"""Columns whose name may begin with whose they are: `book_rating`, `user_query`."""
_WHOLE = frozenset({"task", "created_at", "event_type", "position", "categories", "query", "value"})
"""Columns that only a whole name means: `average_rating` is no event's value, nor `content_type` its type."""


def words_of_name(name: str) -> tuple[str, ...]:
    """Return the words of a column's name in lower case and without accents: `parentAsin` has two."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", plain)
    return tuple(re.findall(r"[^\W_]+", split.lower()))


def name_fit(table: str, column: str, name: str) -> float:
    """Return how well a name fits a column of the contract.

    Args:
        table: `events`, `items` or `users`.
        column: the contract's column.
        name: the name of a column from elsewhere.

    Returns:
        `OWN` for the column's own name, up to `SPELT` for a known spelling, the usual ones first, up to `HEAD` if only
        its main word is one (`shipping_country`), else 0.
    """
    if name == column:
        return OWN
    spellings = _spellings(table, column)
    words = words_of_name(name)
    forms = {"".join(words)}
    if column in _IDENTIFIERS:
        words = tuple(w for w in words if w not in _AFFIXES) or words
        forms |= {"".join(words), *_without_affix("".join(words))}
    elif column in _OF_SUBJECTS and len(words) > 1 and _is_subject(words[0]):
        forms.add("".join(words[1:]))
    known = [spellings[form] for form in forms if form in spellings]
    if known:
        return SPELT - min(known) / 2
    if column not in _WHOLE and len(words) > 1 and words[-1] in spellings:
        return HEAD - spellings[words[-1]] / 2
    return 0.0


def best_named(table: str, column: str, names: Iterable[str]) -> str | None:
    """Return the name that means a column, if it fits no other column of the contract better; None without one."""
    fits = {name: name_fit(table, column, name) for name in names if meant_by(table, name) == column}
    return max(fits, key=lambda name: fits[name], default=None)


def meant_by(table: str, name: str) -> str | None:
    """Return the column of the contract that a name means; None if it is a column of its own."""
    fits = {column: name_fit(table, column, name) for column in _LEXICON[table]}
    best = max(fits, key=lambda column: fits[column])
    return best if fits[best] > 0 else None


def hint_for_column(table: str, column: str, names: Collection[str]) -> str:
    """Return " Did you mean `x`?" for the name that means a missing column, or is one mistyped, else ""."""
    named = best_named(table, column, names)
    if named is not None:
        return f" Did you mean `{named}`?"
    return nearest(column, [name for name in names if meant_by(table, name) is None], TYPO)


def hint_for_name(table: str, name: str, columns: Collection[str]) -> str:
    """Return " Did you mean `x`?" for the column among `columns` that a name means, or mistypes, else ""."""
    column = meant_by(table, name)
    if column is None:
        return nearest(name, columns, TYPO)
    return f" Did you mean `{column}`?" if column in columns else ""


def _is_subject(word: str) -> bool:
    """Tell whether a word is one for users or items."""
    return word in _spellings("events", "user_id") or word in _spellings("events", "item_id")


@cache
def _spellings(table: str, column: str) -> dict[str, float]:
    """Return the spellings of a column with their order in its list, from 0 for the first to below 1 for the last."""
    listed = " ".join((column, *_LEXICON[table][column])).split()
    spelt = ["".join(words_of_name(name)) for name in listed]
    return {name: order / len(spelt) for order, name in reversed(list(enumerate(spelt)))}


def _without_affix(word: str) -> set[str]:
    """Return a word without the affixes that stand at its ends: `visitorid` and `idvisitor` give `visitor`."""
    ends = {word[: -len(affix)] for affix in _AFFIXES if word.endswith(affix)}
    return {form for form in ends | {word.removeprefix("id")} if len(form) > 1}
