"""Alerts: what the environment asks for, and which automations that makes; delivered ones are in tests/e2e."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from prefect.events.schemas.automations import EventTrigger

from flows.alerts import Wanted, Windows, automations, shown, wanted
from pgrollout.errors import ConfigurationError

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
"""By Apprise, which Prefect sends with."""

SECRET = "hunter2-correct-horse"
BLOCK = UUID(int=1)
ALL = {
    "PGROLLOUT_ALERT_SLACK_URL": "https://hooks.slack.com/services/T0123456/B0123456/abcdefghijklmnop",
    "PGROLLOUT_ALERT_TEAMS_URL": "https://x.logic.azure.com:443/workflows/1a2b/triggers/manual/paths/invoke"
    "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=abc",
    "PGROLLOUT_ALERT_PAGERDUTY_INTEGRATION_KEY": "a" * 32,
    "PGROLLOUT_ALERT_PAGERDUTY_API_KEY": "b" * 20,
    "PGROLLOUT_ALERT_OPSGENIE_APIKEY": "12345678-1234-1234-1234-123456789012",
    "PGROLLOUT_ALERT_MATTERMOST_HOSTNAME": "mattermost.chat.svc",
    "PGROLLOUT_ALERT_MATTERMOST_PORT": "8065",
    "PGROLLOUT_ALERT_MATTERMOST_TOKEN": "abcdefghijklmnopqrstuvwxyz",
    "PGROLLOUT_ALERT_DISCORD_WEBHOOK_ID": "1234567890",
    "PGROLLOUT_ALERT_DISCORD_WEBHOOK_TOKEN": "abcdefghij",
    "PGROLLOUT_ALERT_TWILIO_ACCOUNT_SID": "AC" + "1" * 32,
    "PGROLLOUT_ALERT_TWILIO_AUTH_TOKEN": "2" * 32,
    "PGROLLOUT_ALERT_TWILIO_FROM_PHONE_NUMBER": "18001234567",
    "PGROLLOUT_ALERT_TWILIO_TO_PHONE_NUMBERS": "18004242424, 18004242425",
    "PGROLLOUT_ALERT_SENDGRID_API_KEY": "c" * 20,
    "PGROLLOUT_ALERT_SENDGRID_SENDER_EMAIL": "pgrollout@example.com",
    "PGROLLOUT_ALERT_SENDGRID_TO_EMAILS": "oncall@example.com",
    "PGROLLOUT_ALERT_EMAIL_URL": "mailtos://user:pass@smtp.example.com?from=pgrollout@example.com&to=oncall@example.com",
    "PGROLLOUT_ALERT_WEBHOOK_URL": "http://receiver.monitoring.svc/alerts",
}


def test_every_channel_can_be_asked_for() -> None:
    """Each block that Prefect brings is made of text alone; Apprise, which sends for most of them, takes what was given."""
    channels = wanted(ALL).channels

    assert sorted(channels) == sorted(
        ["slack", "teams", "pagerduty", "opsgenie", "mattermost", "discord", "twilio", "sendgrid", "email", "webhook"]
    )
    for name, block in channels.items():
        assert name == "webhook" or len(block._apprise_client) == 1, name
        assert getattr(block, "notify_type", "failure") == "failure"
        assert getattr(block, "allow_private_urls", True)


def test_nothing_is_asked_for() -> None:
    """Without a variable, or with empty ones as a chart leaves them, nobody is told; settings of a database are others'."""
    assert wanted({}) == Wanted()
    assert wanted({"PGROLLOUT_ALERT_SLACK_URL": "", "PGROLLOUT_ALERT_URL_ENV": "SHOP_ALERTS", "PATH": "/"}) == Wanted()


def test_windows_are_said_in_their_units() -> None:
    """Minutes and hours, parts of them too, and zero for never."""
    windows = wanted(
        {
            "PGROLLOUT_ALERT_AFTER_MINUTES": "0.5",
            "PGROLLOUT_ALERT_DRIFT_HOURS": "50",
            "PGROLLOUT_ALERT_SILENT_MINUTES": "0",
        }
    ).windows

    assert windows == Windows(timedelta(seconds=30), timedelta(hours=50), timedelta(0))


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"SLAK_URL": SECRET},
            "PGROLLOUT_ALERT_SLAK_URL: there is no such setting. After PGROLLOUT_ALERT_ comes one of:",
        ),
        ({"SLACK_URI": SECRET}, "PGROLLOUT_ALERT_SLACK_URI: there is no such setting."),
        ({"WEBHOOK_HEADERS": SECRET}, "PGROLLOUT_ALERT_WEBHOOK_HEADERS: there is no such setting."),
        ({"PAGERDUTY_API_KEY": SECRET}, "PGROLLOUT_ALERT_PAGERDUTY_…: integration_key: Field required."),
        ({"TEAMS_URL": SECRET}, "PGROLLOUT_ALERT_TEAMS_…: "),
        ({"WEBHOOK_METHOD": "PUT"}, "PGROLLOUT_ALERT_WEBHOOK_…: url: Field required."),
        ({"EMAIL_URL": SECRET}, "PGROLLOUT_ALERT_EMAIL_…: url: nothing that Prefect can send to."),
        ({"AFTER_MINUTES": "soon"}, "PGROLLOUT_ALERT_AFTER_MINUTES: 'soon' is no number of minutes."),
        ({"DRIFT_HOURS": "0.001"}, "PGROLLOUT_ALERT_DRIFT_HOURS: 0.001 hours is too short."),
        ({"SILENT_MINUTES": "-1"}, "PGROLLOUT_ALERT_SILENT_MINUTES: -1 minutes is too short."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_refused(environ: dict[str, str], sentence: str) -> None:
    """The error names the variable and never what a secret holds."""
    with pytest.raises(ConfigurationError) as error:
        wanted({f"PGROLLOUT_ALERT_{name}": value for name, value in environ.items()})

    assert str(error.value).startswith(sentence)
    assert SECRET not in str(error.value)


def test_address_of_the_webhook_is_kept_as_a_secret() -> None:
    """Who looks at the block on the server's page sees no address; what is posted is what the run itself would post."""
    block = wanted(ALL).channels["webhook"]

    assert ALL["PGROLLOUT_ALERT_WEBHOOK_URL"] not in str(block)
    sent = block._build_request_args("the body", "the subject")
    assert (sent["url"], sent["json"]) == (ALL["PGROLLOUT_ALERT_WEBHOOK_URL"], {"text": "the subject\nthe body"})


@pytest.mark.parametrize(
    ("blocks", "windows", "expected"),
    [
        (
            [BLOCK],
            Windows(),
            [
                "run failed",
                "database unreachable",
                "run under way for long",
                "no good drift check",
                "run without a sign of life",
            ],
        ),
        ([BLOCK], Windows(timedelta(0), timedelta(0), timedelta(0)), ["run failed", "database unreachable"]),
        ([], Windows(), ["run without a sign of life"]),
    ],
)
def test_alerts_of_a_database(blocks: list[UUID], windows: Windows, expected: list[str]) -> None:
    """Each database has its own; what tells nobody is left out, but runs that are gone are never left running."""
    assert [each.name for each in automations("shop", blocks, windows)] == [
        f"pgrollout shop: {what}" for what in expected
    ]


def test_run_that_starts_again_is_not_silent() -> None:
    """Between the end of its runner and the next one there is nobody who could give a sign of life."""
    *_, silent = automations("shop", [], Windows())

    assert isinstance(silent.trigger, EventTrigger)
    assert "prefect.flow-run.AwaitingRetry" in silent.trigger.expect
    assert "prefect.flow-run.Running" not in silent.trigger.expect  # it may come after the first heartbeat


def test_each_channel_is_an_action_of_its_own() -> None:
    """One that cannot be reached keeps no other from being told."""
    failed, *_ = automations("shop", [BLOCK, UUID(int=2)], Windows())

    blocks: list[Any] = [getattr(action, "block_document_id", None) for action in failed.actions]

    assert blocks == [BLOCK, UUID(int=2)]


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (timedelta(hours=26), "26 hours"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(seconds=90), "90 seconds"),
        (timedelta(seconds=10.5), "10.5 seconds"),
    ],
)
def test_durations_are_for_people(duration: timedelta, expected: str) -> None:
    """The largest unit that makes a whole number."""
    assert shown(duration) == expected
