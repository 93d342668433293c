"""Texts that nobody can guess, and what is stored or sent of them."""

import re

from keyrack.crypto.secret import Secret
from keyrack.oauth import id_token, oauth1, pkce, state

URL_SAFE = re.compile(r"[A-Za-z0-9_-]{43}")


def test_each_is_256_bits_url_safe_and_new() -> None:
    for new in (state.new_state, id_token.new_nonce, lambda: pkce.new_verifier().reveal()):
        made = {new() for _ in range(50)}
        assert len(made) == 50
        assert all(URL_SAFE.fullmatch(text) for text in made)


def test_a_challenge_is_that_of_rfc_7636_appendix_b() -> None:
    verifier = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert pkce.challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert pkce.S256 == "S256"
    assert pkce.challenge(verifier, "plain") == verifier.reveal()


def test_a_state_is_found_by_its_sha_256() -> None:
    assert state.state_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert state.state_hash("\ud800") != state.state_hash("?")


def test_a_temporary_token_has_another_hash_than_a_state() -> None:
    assert re.fullmatch("[0-9a-f]{64}", oauth1.token_hash("abc"))
    assert oauth1.token_hash("abc") != state.state_hash("abc")
    assert oauth1.token_hash("abc") != oauth1.token_hash("abd")
    assert oauth1.token_hash("abc") == "ce51d0b06f95382ace67b90fb16bec11b8c4d06755115489b5705a1226985e91"
    assert oauth1.token_hash("\ud800") != oauth1.token_hash("?")
