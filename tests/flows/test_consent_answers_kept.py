"""Whatever a provider answers to a code is kept and judged once: a code is sent once only (contract 20.3)."""

import gzip

from support.app import World
from support.consent import add_oauth_client, come_back, keys_of, oauth_component, query_of, seen, start
from support.raw_provider import RawProvider, http_answer, json_answer

TOKENS = '{"access_token":"at-1","refresh_token":"rt-1","expires_in":3600}'
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
GOOD = {
    "a character set as content coding": json_answer(TOKENS, Content_Encoding="UTF-8"),
    "gzip without a name": http_answer(gzip.compress(TOKENS.encode())),
    "a connection that was cut behind it": OK + b"Content-Length: 999\r\n\r\n" + TOKENS.encode(),
    "a long header": OK + b"X: " + b"a" * 50_000 + b"\r\n\r\n" + TOKENS.encode(),
}
BAD = {
    OK + b"Content-Length: 999\r\n\r\n" + TOKENS[:30].encode(): "closed the connection",
    b"SSH-2.0-OpenSSH_9.6\r\n": "valid HTTP",
    OK + b"X: " + b"a" * 200_000: "too large",
}


async def test_odd_answers_to_a_code(keyrack: World, raw_provider: RawProvider) -> None:
    descriptor = oauth_component(f"{raw_provider.url}/authorize", raw_provider.token_endpoint)
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], "raw", descriptor, access="global")
    await add_oauth_client(keyrack, "Globex", component_id, "me", "shh-secret")
    globex = keyrack.tenants["Globex"]

    async def consented(answer: bytes) -> tuple[str, str]:
        raw_provider.answers = [answer]
        raw_provider.requests.clear()
        started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
        state = query_of(started["attributes"]["authorization_url"])["state"]
        page = await come_back(keyrack, f"/callback/oauth2?state={state}&code=c-1")
        assert [form["code"] for form in raw_provider.forms] == ["c-1"]
        return started["id"], page.text

    for why, answer in GOOD.items():
        consent_id, text = await consented(answer)
        assert (await seen(keyrack, "Globex", consent_id))["status"] == "completed", f"{why}: {text}"
        ended = await globex.integrator.get(f"/v2/workspaces/{globex.workspace_id}/oauth-consents/{consent_id}")
        keys = await keys_of(keyrack, "Globex", ended.json()["data"])
        assert keys["oauth"]["refresh_token"] == "rt-1", why
    for bad, said in BAD.items():
        consent_id, text = await consented(bad)
        assert said in text
        assert (await seen(keyrack, "Globex", consent_id))["status"] == "failed"
