"""Texts that template languages would act on, wherever somebody chooses one: shown and sent as they are."""

import html
from datetime import UTC, datetime

import pytest

from keyrack.descriptor.template import render
from keyrack.mail.message import sender_of, write_message
from support.app import World
from support.console import signed_in
from support.setup_links import invited

TEXTS = [
    "{{7*7}}", "{{ 7 * 7 }}", "{% for x in 'ab' %}{{x}}{% endfor %}", "{{ config.items() }}", "{# gone #}", "${7*7}",
    "{{ self.__init__.__globals__ }}", "{{''.__class__.__mro__[1].__subclasses__()}}", "#{7*7}", "<%= 7*7 %>", "{7*7}",
    "@(7*7)", "{0.__class__}", "{tenant_name.__class__.__init__.__globals__}", "%(tenant_name)s %s %n", "$tenant_name",
    "{{tenant_name}}", "*{7*7}", "[[7*7]]", "{{=7*7}}", "{php}echo 7*7;{/php}", "#set($x=7*7)$x",
]  # fmt: skip
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def is_shown_as_it_is(text: str, page: str) -> bool:
    return text in html.unescape(page)


@pytest.mark.parametrize("text", TEXTS)
def test_a_mail_has_names_as_they_are(text: str) -> None:
    content = {
        "email": "new@acme.example", "invited_by": text, "tenant_name": text, "contract_name": text,
        "url": "https://keys.example/setup/x",
    }  # fmt: skip
    for members in (content, {name: value for name, value in content.items() if name != "contract_name"}):
        sent = write_message(sender_of("keyrack@keys.example"), "m1", members, NOW)
        body = sent.get_body()
        assert body is not None
        told = f"{sent['Subject']}\n{body.get_content()}"
        assert text in told
        assert "49" not in told
        assert "<class" not in told


async def test_pages_have_names_as_they_are(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    admin = await signed_in(keyrack, acme.admin, acme.id)
    for number, text in enumerate(TEXTS):
        sent = {"data": {"attributes": {"name": text}}}
        assert (await keyrack.support.patch(f"/v2/tenants/{acme.id}", sent)).status_code == 200
        answer = await invited(acme.admin, acme.contract_id, f"new{number}@acme.example")
        setup = await keyrack.http.get(answer.json()["meta"]["setup_link"]["url"])
        console = await admin.get("/console")
        for page in (setup, console):
            assert page.status_code == 200
            assert "49" not in page.text.replace(answer.json()["data"]["id"], "") or is_shown_as_it_is(text, page.text)
            assert "&lt;class" not in page.text
        assert is_shown_as_it_is(text, setup.text), text


@pytest.mark.parametrize("text", TEXTS)
def test_a_value_of_a_descriptor_is_rendered_once(text: str) -> None:
    assert render("https://{{host}}/x?{{ host }}", {"host": text}) == f"https://{text}/x?{text}"


COMPUTING = [
    "{{host.__class__}}", "{{host|upper}}", "{{7*7}}", "{{host['a']}}", "{{host()}}", "{% if host %}x{% endif %}",
]  # fmt: skip


@pytest.mark.parametrize("template", COMPUTING)
def test_a_descriptor_names_values_and_computes_nothing(template: str) -> None:
    """What is no name of a value is text, or a value that is not there."""
    assert render(template, {"host": "value", "__class__": "class"}) in {template, ""}
