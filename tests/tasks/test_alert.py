"""Alerts: told once per run, to the log and a webhook, and never a reason to fail."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgrollout.settings import Database
from tasks.alert import alert
from tests.webhook import Webhook, receiving

RUN = "0195c1f2-0000-7000-8000-000000000001"


@pytest.fixture
def webhook(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    """A receiver that ``SHOP_ALERTS`` names; answers 200 or as the test's parameter says."""
    with receiving(getattr(request, "param", 200)) as webhook:
        monkeypatch.setenv("SHOP_ALERTS", webhook.url)
        yield webhook


@pytest.fixture
def shop(tmp_path: Path) -> Database:
    """A database whose failed runs are told to a webhook."""
    return Database(name="shop", root=tmp_path, alert_url_env="SHOP_ALERTS")


def test_alert_is_sent(shop: Database, webhook: Webhook, caplog: pytest.LogCaptureFixture) -> None:
    """The text goes to the webhook as JSON, and into the log."""
    assert alert(shop, RUN, 'migrate of database shop: "Failed"\nat stage apply')

    assert webhook.got == [{"text": 'migrate of database shop: "Failed"\nat stage apply'}]
    assert f"run failed flow_run={RUN}\nmigrate of database shop" in caplog.text
    assert (shop.state_path / ".gitignore").exists()


def test_alert_is_sent_once(shop: Database, webhook: Webhook) -> None:
    """A run is told once, also when two hooks tell it; another run is another matter."""
    assert alert(shop, RUN, "failed")
    assert not alert(shop, RUN, "crashed")
    assert alert(shop, RUN.replace("1", "2"), "failed")

    assert [each["text"] for each in webhook.got] == ["failed", "failed"]


def test_log_is_enough(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without a webhook the log tells, and nothing is missed."""
    assert alert(Database(root=tmp_path), RUN, "failed")

    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_missing_variable_is_said(
    shop: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A webhook that is configured and whose variable is not set is a warning with the variable's name."""
    monkeypatch.delenv("SHOP_ALERTS", raising=False)

    assert alert(shop, RUN, "failed")
    assert 'alert not sent reason="SHOP_ALERTS is not set"' in caplog.text


@pytest.mark.parametrize("webhook", [404, 500], indirect=True)
def test_refusal_is_said(shop: Database, webhook: Webhook, caplog: pytest.LogCaptureFixture) -> None:
    """A webhook that refuses is a warning, without its URL, which may be a secret."""
    assert alert(shop, RUN, "failed")

    assert "alert not sent reason=" in caplog.text
    assert "very-secret" not in caplog.text


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/very-secret", "very-secret", "http://[very-secret", "http://127.0.0.1:very-secret/"]
)
def test_webhook_that_is_down_is_said(
    shop: Database, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody listens, or the URL is none: a warning without the URL."""
    monkeypatch.setenv("SHOP_ALERTS", url)

    assert alert(shop, RUN, "failed")
    assert "alert not sent reason=" in caplog.text
    assert "very-secret" not in caplog.text


def test_alert_without_a_memory_is_sent(shop: Database, webhook: Webhook, caplog: pytest.LogCaptureFixture) -> None:
    """Where the folder cannot be written the alert goes out: rather twice than never."""
    shop.state_path.write_text("in the way")

    assert alert(shop, RUN, "failed")
    assert alert(shop, RUN, "failed")
    assert len(webhook.got) == 2
    assert "alert not remembered" in caplog.text
