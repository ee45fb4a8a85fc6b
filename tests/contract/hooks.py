"""Makes what schemathesis invents meet what there is, within the contract.

A made-up id, market or template would stop at 404 nearly always. Each valid one
becomes one that exists, chosen by its own number, so that a seed stays a
reproduction. And a mode or a policy that would end the trading of the whole run
is taken back as soon as it has been answered.
"""

import hashlib
import json
import os
import re

import requests
import schemathesis

ID = re.compile(r"^(acc|mkt)_[1-9][0-9]{0,8}$")
ORDER = re.compile(r"^ord_([1-9][0-9]{0,16})$")
ADDRESS = re.compile(r"^https?://\S{1,500}$")
MARKETS = int(os.environ["MBP_MARKETS"])
ORDERS = os.environ["MBP_ORDERS"].split(",")
URL, KEY = os.environ["MBP_URL"], os.environ["MBP_KEY"]
OWN = hashlib.sha256(KEY.encode()).hexdigest()
SPARE = "5a" * 32


def settle(value):
    """What the contract says in words and JSON Schema cannot: a whole number is
    written without fraction and exponent, so 7.0 is no way to write 7."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and ID.match(value):
        kind, number = value.split("_")
        return f"{kind}_{1 + int(number) % (3 if kind == 'acc' else MARKETS)}"
    if isinstance(value, str) and (m := ORDER.match(value)):
        return ORDERS[int(m.group(1)) % len(ORDERS)]
    if isinstance(value, dict):
        return {name: settle(member) for name, member in value.items()}
    if isinstance(value, list):
        return [settle(element) for element in value]
    return value


TEXTS = {"reason": 128, "title": 512, "template": 96}


def fit(text, most):
    """The other thing that JSON Schema cannot say: the length of a text is that of its
    bytes. One that is too long in characters, too, stays as it is."""
    if isinstance(text, str) and len(text) <= most:
        return text.encode("utf-8", "surrogatepass")[:most].decode("utf-8", "ignore")
    return text


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    return settle(path_parameters)


@schemathesis.hook
def map_query(context, query):
    return settle(query)


@schemathesis.hook
def map_body(context, body):
    body = settle(body)
    if isinstance(body, dict):
        for name, most in TEXTS.items():
            if name in body:
                body[name] = fit(body[name], most)
        # Nothing is told to whatever address was made up: this one refuses connections.
        if isinstance(body.get("url"), str) and ADDRESS.match(body["url"]):
            body["url"] = "http://127.0.0.1:9/"
        if isinstance(body.get("outcomes"), list):
            body["outcomes"] = [fit(label, 128) for label in body["outcomes"]]
        for name in ("groups", "allow_groups", "deny_groups"):
            if isinstance(body.get(name), list):
                body[name] = [fit(group, 64) for group in body[name]]
    if isinstance(body, dict) and isinstance(body.get("template"), str) and len(body["template"]) % 2:
        body["template"] = "binary@1.0.0"
    return body


def fill(body, label):
    """What is of the right form has to mean something, too, or else a market is never
    opened, an order never waits, and nothing that follows from it is looked at."""
    if label == "POST /v1/markets":
        body.update(template="binary@1.0.0", title="Rain", creator="acc_2", liquidity_micros=1_000_000_000, price_micros=500_000)
        for name in ("outcomes", "prices_micros", "min", "max", "close_at"):
            body.pop(name, None)
    elif label == "POST /v1/orders":
        order(body)
    elif label in ("POST /v1/orders/batch", "POST /v1/orders/batches"):
        for item in body["items"]:
            if item["type"] == "place_order":
                order(item)
    elif label == "POST /v1/orders/{order}/amend":
        body.update(shares_micros=1_000_000, limit_price_micros=200_000)
    elif label == "POST /v1/templates":
        body.clear()
        body.update(TEMPLATE, id="t" + os.urandom(4).hex())
    elif label == "POST /v1/moderation":
        body.update(action="limit", account="acc_3", until="2099-01-01T00:00:00Z", abuse=None)
    elif label == "POST /v1/keys":
        body.update(principal="p" + os.urandom(4).hex(), account="acc_3", id=None, expires_at=None, identity=None)
    for name, most in (("amount_micros", 5_000_000), ("units_micros", 1_000_000)):
        if isinstance(body.get(name), int):
            body[name] = 1 + body[name] % most
    if "reason" in body:
        body["reason"] = "the test goes on"


TEMPLATE = {
    "version": "1.0.0", "category": "general", "kind": "binary", "max_title": 100,
    "min_liquidity_micros": 1_000_000, "max_liquidity_micros": 9_000_000_000, "min_price_micros": 1000, "max_price_micros": 999_000,
    "max_order_micros": 1_000_000_000, "truth": {"source": "manual", "approvals": 2},
}


def order(body):
    """Half of them wait in the book, far from the price; half trade."""
    waits = body.get("side") == "buy"
    for name in ("amount_micros", "expires_at", "post_only", "if_seq"):
        body.pop(name, None)
    body.update(outcome="YES", shares_micros=1_000_000, limit_price_micros=200_000)
    body["tif"] = "gtc" if waits else "ioc"
    if not waits:
        body.update(side="buy", limit_price_micros=900_000)


def one_of(case, many):
    """Chooses by the case itself, so that a seed stays a reproduction."""
    return hashlib.sha256(repr((case.path, case.path_parameters, case.query, case.body)).encode("utf-8", "replace")).digest()[0] % many == 0


@schemathesis.hook
def before_call(context, case, kwargs):
    """A list of keys leads to the one that asks: revoked, it would turn every later
    answer into a 401, and the run would look at nothing. A made-up idempotency key is
    short, and used for something else long before: seven of eight get one of their own."""
    if case.path == "/v1/keys/{sha256}/revoke" and str(case.path_parameters.get("sha256", "")).lower() == OWN:
        case.path_parameters["sha256"] = SPARE
    if case.method == "DELETE" and case.path_parameters.get("account") == "acc_1":  # whom it erases loses the keys, too
        case.path_parameters["account"] = "acc_3"
    if case.meta is None or not case.meta.generation.mode.is_positive or case.method != "POST":
        return
    if "Idempotency-Key" in case.headers and not one_of(case, 8):
        case.headers["Idempotency-Key"] = os.urandom(8).hex()
    if isinstance(case.body, dict) and not one_of(case, 4):
        fill(case.body, f"{case.method} {case.path}")


def tell(path, body):
    answer = requests.post(
        URL + path,
        data=json.dumps(body),
        timeout=10,
        headers={"Authorization": "Bearer " + KEY, "Content-Type": "application/json", "Idempotency-Key": os.urandom(8).hex()},
    )
    if answer.status_code not in (201, 409):  # 409: it was normal already, or the first policy is in force
        complain(f"{path} was answered with {answer.status_code}: {answer.text}")


def complain(what):
    """The tool counts what is raised in a hook as an error without a reason, so the
    reason is written where main.go looks."""
    with open(os.environ["MBP_COMPLAINTS"], "a", encoding="utf-8") as out:
        print(what, file=out)


@schemathesis.hook
def after_call(context, case, response):
    if response.status_code != 201 or "idempotency-replayed" in response.headers:  # nothing was changed now
        return
    if case.path == "/v1/mode":
        tell("/v1/mode", {"mode": "normal", "reason": "the test goes on"})
    if case.path == "/v1/policy":
        tell("/v1/policy/rollback", {})
