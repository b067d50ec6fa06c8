"""The page at /docs: fields in words, and nothing of the document taken as markup."""

from unified_ranker.serving.http.docs import docs_page

EVIL = "<script>alert('x')</script> & <!--"


def document(**more):
    schemas = {
        "Body": {
            "properties": {
                "query": {"anyOf": [{"type": "string", "maxLength": 256}, {"type": "null"}], "description": "Words."},
                "history": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
            },
            "required": ["query"],
            "examples": [{"query": "space war"}],
        },
        "Event": {"properties": {"item_id": {"type": "string"}}},
    }
    operation = {
        "description": "Answer.",
        "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Body"}}}},
        "responses": {"200": {"description": "Items."}, "422": {"description": "A mistake."}},
    }
    return {
        "info": {"title": "service"},
        "paths": {"/v1/recommend": {"post": operation}},
        "components": {"schemas": schemas},
        **more,
    }


def test_operations_have_their_address_fields_examples_and_answers():
    page = docs_page(document(), "http://localhost:8080/")
    for shown in (
        "<code>POST http://localhost:8080/v1/recommend</code>",
        "<code>query</code></td><td>string, maxLength 256 or null, required</td><td>Words.</td>",
        "<code>history[].item_id</code>",
        "<h3>422 A mistake.</h3>",
        "curl -s http://localhost:8080/v1/recommend",
        "{&#34;query&#34;: &#34;space war&#34;}",
    ):
        assert shown in page, shown


def test_nothing_of_the_document_nor_the_address_is_markup():
    hostile = document(info={"title": EVIL, "description": EVIL})
    operation = hostile["paths"]["/v1/recommend"]["post"]
    operation["description"] = operation["responses"]["200"]["description"] = EVIL
    hostile["components"]["schemas"]["Body"]["properties"][EVIL] = {"description": EVIL, "pattern": EVIL}
    hostile["components"]["schemas"]["Body"]["examples"] = [{EVIL: EVIL}]
    page = docs_page(hostile, f"http://{EVIL}/")
    assert "<script" not in page
    assert "<!--" not in page
    assert page.count("&lt;script&gt;") > 8
