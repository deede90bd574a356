import pytest

from harness.records.redaction import MASK, Redactor

REDACTOR = Redactor(
    {"OPENAI_API_KEY": "sentinel-1", "HF_TOKEN": "hf", "MY_ENDPOINT": "sentinel-2", "PLAIN": "sentinel-3",
     "TOKENIZERS_PARALLELISM": "falsefalse", "PRIVATE_KEY": "line-one\nline-two", "api_key_env": "sentinel-4"},
    names=["MY_ENDPOINT"],
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("says sentinel-1!", f"says {MASK}!"),
        ("says sentinel-2!", f"says {MASK}!"),
        ("line-two", MASK),
        ("https://me:pw@host/x", f"https://{MASK}@host/x"),
        ("https://token@host/x", f"https://{MASK}@host/x"),
        ("generator.api_key=abcdefgh", f"generator.api_key={MASK}"),
        ("{'password': 'hunter22'}", "{'password': '" + MASK + "'}"),
        ("Authorization: Bearer abcdefghijklmnop", f"Authorization: Bearer {MASK}"),
        ("u?token=abc&b=1", f"u?token={MASK}&b=1"),
        ("sk-proj-abcdefghijklmnopqrstuvwx", MASK),
    ],
)
def test_secrets_go(text, expected):
    assert REDACTOR.text(text) == expected
    assert REDACTOR.data(b"\xff" + text.encode()) == b"\xff" + expected.encode()


@pytest.mark.parametrize(
    "text",
    ["sentinel-3", "falsefalse", "hf", "sentinel-4", "git+ssh://git@github.com/x", "generator.api_key_env=OPENAI_API_KEY",
     "set api_key_env=null for none", "+generator.api_key=${oc.env:KEY}", "primary_key=customer_id", "a secret: no", "e@mail.org"],
)  # fmt: skip
def test_what_is_none_stays(text):
    assert REDACTOR.text(text) == text


def test_settings_named_like_a_secret_go_and_others_stay():
    given = {
        "api_key": "abc",
        "token": "t",
        "api_key_env": "OPENAI",
        "pad_token": "<pad>",
        "max_tokens": 5,
        "l": ["sentinel-1", 1],
    }
    wanted = {**given, "api_key": MASK, "token": MASK, "l": [MASK, 1]}
    assert REDACTOR.value(given) == wanted
    assert Redactor.of({"api_key_env": "HOME"}).text("x") == "x"
