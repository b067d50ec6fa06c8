"""Templates: what they escape, and what they refuse."""

import pytest
from jinja2 import TemplateNotFound, UndefinedError
from markupsafe import Markup

from unified_ranker.evaluation.html_pages import render

PACKAGE = "unified_ranker.evaluation"


def test_a_value_is_text_and_only_markup_is_html():
    page = render(PACKAGE, "page.html", title="<script>alert('x')</script> & co")
    assert "<title>&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; co</title>" in page
    assert "<title><b>bold</b></title>" in render(PACKAGE, "page.html", title=Markup("<b>bold</b>"))


def test_a_value_that_is_not_given_is_an_error_and_no_gap():
    with pytest.raises(UndefinedError, match="title"):
        render(PACKAGE, "page.html")


def test_each_package_has_templates_of_its_own():
    with pytest.raises(TemplateNotFound):
        render("unified_ranker.serving.http", "page.html", title="")
