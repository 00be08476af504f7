"""
Alerts: automations on Prefect's server that tell people what goes wrong with the runs of a database.

The server sees what a run cannot tell of itself: that it was killed, that it hangs, that it never began. Each database has
its own, so that several projects can share a server. Where they go is said by the environment, ``PGROLLOUT_ALERT_…``;
what a run without a deployment tells is left to ``failure``.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect import get_client
from prefect.automations import AutomationCore
from prefect.blocks.notifications import (
    CustomWebhookNotificationBlock,
    DiscordWebhook,
    MattermostWebhook,
    MicrosoftTeamsWebhook,
    OpsgenieWebhook,
    PagerDutyWebHook,
    SendgridEmail,
    SlackWebhook,
    TwilioSMS,
)
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture
from pydantic import BaseModel, ValidationError

from flows.ending import PREFIX
from flows.pipeline import STAGE_LABEL, artifact_key
from pgrollout.errors import ConfigurationError, ServerUnavailable

VARIABLES = "PGROLLOUT_ALERT_"
"""How the variables begin that say who is told, and when."""
FLOWS = ("migrate", "check-drift")

_BLOCKS: Mapping[str, type[Any]] = {
    "slack": SlackWebhook,
    "teams": MicrosoftTeamsWebhook,
    "pagerduty": PagerDutyWebHook,
    "opsgenie": OpsgenieWebhook,
    "mattermost": MattermostWebhook,
    "discord": DiscordWebhook,
    "twilio": TwilioSMS,
    "sendgrid": SendgridEmail,
    # Prefect's own mail needs its cloud. This block hands a URL that is not Slack's to Apprise, which knows mailtos://.
    "email": SlackWebhook,
    "webhook": CustomWebhookNotificationBlock,
}
"""What each channel is on the server; ``PGROLLOUT_ALERT_<CHANNEL>_<FIELD>`` are the fields of its block."""

_OTHERS = ("URL_ENV",)
"""Variables that begin alike and are settings of a database."""


@dataclass(frozen=True, slots=True)
class Windows:
    """After how long silence is told. Zero never tells; less than ten seconds Prefect refuses."""

    under_way: timedelta = timedelta(minutes=60)
    """A run is under way."""
    without_check: timedelta = timedelta(hours=26)
    """No check for drift has ended well. A day, and time for a check that starts late."""
    without_heartbeat: timedelta = timedelta(minutes=10)
    """A run has given no sign of life; it gives one every three minutes."""


_WINDOWS = {
    "AFTER_MINUTES": ("under_way", "minutes"),
    "DRIFT_HOURS": ("without_check", "hours"),
    "SILENT_MINUTES": ("without_heartbeat", "minutes"),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who is told, and when."""

    channels: Mapping[str, Any] = field(default_factory=dict)
    """The block of each channel."""
    windows: Windows = Windows()


def wanted(environ: Mapping[str, str] = os.environ) -> Wanted:
    """
    Return what the environment asks for; a variable that is empty says nothing.

    Raises:
        ConfigurationError: A variable that there is not, or a value that cannot be.
    """
    fields: dict[str, dict[str, str]] = {}
    windows: dict[str, timedelta] = {}
    for variable in sorted(environ):
        rest = variable.removeprefix(VARIABLES)
        if rest == variable or rest in _OTHERS or not environ[variable].strip():
            continue
        if rest in _WINDOWS:
            key, unit = _WINDOWS[rest]
            windows[key] = _duration(variable, environ[variable], unit)
            continue
        channel, _, name = rest.lower().partition("_")
        if channel not in _BLOCKS or not _is_text(_BLOCKS[channel], name):
            known = ", ".join((*_WINDOWS, *(f"{each.upper()}_…" for each in _BLOCKS)))
            raise ConfigurationError(variable, "there is no such setting.", f"After {VARIABLES} comes one of: {known}.")
        fields.setdefault(channel, {})[name] = environ[variable].strip()
    return Wanted({channel: _block(channel, given) for channel, given in fields.items()}, Windows(**windows))


def register_alerts(databases: Sequence[str], wants: Wanted | None = None) -> tuple[str, ...]:
    """
    Make the server's alerts for these databases what is wanted, and return their names.

    What is right already stays as it is, so that no window begins anew; alerts of a channel that is no longer wanted go.

    Args:
        databases: Their names in the configuration.
        wants: Who is told, and when; the environment by default.

    Raises:
        ConfigurationError: The environment asks for what there is not.
    """
    wants = wanted() if wants is None else wants
    names: list[str] = []
    with get_client(sync_client=True) as client:
        for database in databases:
            blocks = [
                block.save(_block_name(database, channel), overwrite=True) for channel, block in wants.channels.items()
            ]
            registered = {each.name: each for each in automations(database, blocks, wants.windows)}
            for name in _names(database):
                _replace(client, name, registered.get(name))
            for channel, block_type in _BLOCKS.items():
                if channel not in wants.channels:
                    with suppress(ValueError):  # there is none
                        block_type.delete(_block_name(database, channel))
            names += registered
    return tuple(names)


def is_told_by_server(client: SyncPrefectClient, database: str) -> bool:
    """Whether the server itself tells of a run of this database's deployments that failed."""
    return any(each.enabled for each in client.read_automations_by_name(_name(database, _FAILED)))


_FAILED, _UNREACHABLE, _LONG, _NO_CHECK, _SILENT = (
    "run failed",
    "database unreachable",
    "run under way for long",
    "no good drift check",
    "run without a sign of life",
)

_ANY_RUN = {"prefect.resource.id": "prefect.flow-run.*"}
_ENDS = frozenset(f"prefect.flow-run.{name}" for name in ("Completed", "Failed", "Crashed", "Cancelled", "TimedOut"))
_WAITING = frozenset(f"prefect.flow-run.{name}" for name in ("AwaitingRetry", "Scheduled", "Late", "Pending"))
"""A run that is to start again, as one whose runner was replaced, owes nobody a sign of life."""
_RUNNING, _GOOD, _HEARTBEAT = (f"prefect.flow-run.{name}" for name in ("Running", "Completed", "heartbeat"))
_IS_UNREACHABLE = f"{PREFIX}{ServerUnavailable.__name__}: *"

_STAGE = f"stage {{{{ flow_run.labels['{STAGE_LABEL}'] or 'unknown' }}}}"
_ERROR = f"{{{{ (flow_run.state.message or '') | replace('{PREFIX}', '') }}}}"
_PAGE = "{{ (flow_run|ui_url or flow_run.name) if flow_run else (automation|ui_url or automation.name) }}"


def automations(database: str, blocks: Sequence[UUID], windows: Windows) -> tuple[AutomationCore, ...]:
    """
    Return the alerts of one database; without a block, only what keeps Prefect's own states right.

    Args:
        database: Its name.
        blocks: Ids of the blocks that carry a text to people.
        windows: After how long silence is told.
    """
    return tuple(_automations(database, blocks, windows))


def _automations(database: str, blocks: Sequence[UUID], windows: Windows) -> Iterator[AutomationCore]:
    def tell(what: str, why: str, trigger: EventTrigger, subject: str, body: str) -> AutomationCore:
        actions: list[ActionTypes] = [
            SendNotification(block_document_id=block, subject=subject, body=f"{body}\n{_PAGE}") for block in blocks
        ]
        return AutomationCore(name=_name(database, what), description=why, trigger=trigger, actions=actions)

    of_database = _related(FLOWS, (database, f"{database}-drift"))
    if blocks:
        # By type: a state of another name is told as well.
        failed = {**_ANY_RUN, "prefect.state-type": ["FAILED", "CRASHED"]}
        yield tell(
            _FAILED,
            "A run has failed or crashed, for another reason than a database that is not reached.",
            _at_once({**failed, "prefect.state-message": f"!{_IS_UNREACHABLE}"}, of_database),
            f"{{{{ flow.name }}}} of database {database}: {{{{ flow_run.state.name }}}} at {_STAGE}",
            _ERROR,
        )
        yield tell(
            _UNREACHABLE,
            "A run has failed because no server answered.",
            _at_once({**failed, "prefect.state-message": _IS_UNREACHABLE}, of_database),
            f"database {database} cannot be reached: {{{{ flow.name }}}} failed at {_STAGE}",
            _ERROR,
        )
    if blocks and windows.under_way:
        yield tell(
            _LONG,
            "A run has begun, and has not ended in time.",
            _missing(windows.under_way, {_RUNNING}, _ENDS, of_database, for_each={"prefect.resource.id"}),
            f"{{{{ flow.name }}}} of database {database}: under way for more than {shown(windows.under_way)}, at {_STAGE}",
            "It is not stopped. Its log says what it waits for, or what it is doing.",
        )
    if blocks and windows.without_check:
        yield tell(
            _NO_CHECK,
            "Nothing was heard of a check for drift that ended well. Told again while that lasts.",
            # Without `for_each` the first window begins when this is registered, and each good check begins another.
            _missing(windows.without_check, {_GOOD}, {_GOOD}, _related(("check-drift",), (f"{database}-drift",))),
            f"no good drift check of database {database} for {shown(windows.without_check)}",
            f"Its checks fail, or none has run: look at deployment check-drift/{database}-drift, and whether a worker runs.",
        )
    if windows.without_heartbeat:
        # Nobody else does: a run whose process is gone, and whose worker as well, would be running for ever.
        yield AutomationCore(
            name=_name(database, _SILENT),
            description="A run gives no sign of life any more: it has crashed.",
            trigger=_missing(
                windows.without_heartbeat,
                {_HEARTBEAT},
                {_HEARTBEAT, *_ENDS, *_WAITING},
                # By its name: a heartbeat does not say the deployment's.
                [{"prefect.resource.role": "flow", "prefect.resource.name": list(FLOWS)}],
                match={**_ANY_RUN, "prefect.resource.name": [f"{flow}-{database}" for flow in FLOWS]},
                for_each={"prefect.resource.id"},
            ),
            actions=[
                ChangeFlowRunState(
                    state=StateType.CRASHED,
                    name="Crashed",
                    message=f"No sign of life for {shown(windows.without_heartbeat)}: its process is gone, or cannot reach "
                    "this server. What was committed is in the database's history; the next run continues from there.",
                )
            ],
        )


def shown(duration: timedelta) -> str:
    """Return a duration for people: ``26 hours``."""
    seconds = duration.total_seconds()
    unit, size = next((each for each in (("hour", 3600), ("minute", 60)) if seconds % each[1] == 0), ("second", 1))
    return f"{seconds / size:g} {unit}{'' if seconds == size else 's'}"


def _related(flows: Sequence[str], deployments: Sequence[str]) -> list[Any]:
    return [
        {"prefect.resource.role": "flow", "prefect.resource.name": list(flows)},
        {"prefect.resource.role": "deployment", "prefect.resource.name": list(deployments)},
    ]


def _at_once(match: dict[str, Any], related: list[Any]) -> EventTrigger:
    return EventTrigger(
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
        expect={"prefect.flow-run.*"},
        match=match,
        match_related=related,
        for_each={"prefect.resource.id"},
    )


def _missing(
    window: timedelta,
    after: Collection[str],
    expect: Collection[str],
    related: list[Any],
    *,
    match: dict[str, Any] = _ANY_RUN,
    for_each: Collection[str] = (),
) -> EventTrigger:
    return EventTrigger(
        posture=Posture.Proactive,
        threshold=1,
        within=window,
        after=set(after),
        expect=set(expect),
        match=match,
        match_related=related,
        for_each=set(for_each),
    )


def _names(database: str) -> Iterator[str]:
    return (_name(database, what) for what in (_FAILED, _UNREACHABLE, _LONG, _NO_CHECK, _SILENT))


def _name(database: str, what: str) -> str:
    return f"pgrollout {database}: {what}"


def _block_name(database: str, channel: str) -> str:
    return f"pgrollout-{artifact_key(database)}-{channel}"


def _replace(client: SyncPrefectClient, name: str, by: AutomationCore | None) -> None:
    """Make the automation of this name the given one, or none: two of one name would tell twice. One that is off stays off."""
    there = client.read_automations_by_name(name)
    if by is not None and there:
        by = by.model_copy(update={"enabled": there[0].enabled})
    same = [each.id for each in there if by is not None and _content(each) == _content(by)]
    if by is not None and not same:
        client.create_automation(by)
    for each in there:
        if each.id not in same[:1]:
            client.delete_automation(each.id)


def _content(automation: AutomationCore) -> dict[str, Any]:
    """What of an automation is ours to say; the server adds ids."""
    return AutomationCore.model_validate(automation.model_dump()).model_dump(exclude={"tags"})


def _is_text(block_type: type[BaseModel], name: str) -> bool:
    """Whether a channel's block has such a field, and a line of text can fill it."""
    known = block_type.model_fields.get(name)
    return known is not None and "dict" not in str(known.annotation).lower() and name != "allow_private_urls"


def _block(channel: str, given: Mapping[str, str]) -> Any:
    block_type = _BLOCKS[channel]
    values: dict[str, Any] = {
        key: [item.strip() for item in text.split(",") if item.strip()]
        if "list" in str(block_type.model_fields[key].annotation)
        else text
        for key, text in given.items()
    }
    if channel == "webhook":
        # The address may be a secret: it is kept among those, and the server's page shows its name only.
        values = {
            **values,
            "name": "pgrollout",
            "url": "{{url}}",
            "secrets": {"url": values.get("url", "")},
            "json_data": {"text": "{{subject}}\n{{body}}"},
        }
    elif "notify_type" in block_type.model_fields:
        values.setdefault("notify_type", "failure")
    variables = f"{VARIABLES}{channel.upper()}_…"
    if channel == "webhook" and not given.get("url"):
        raise ConfigurationError(variables, "url: Field required.")
    try:
        block = block_type(**values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ConfigurationError(variables, f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    except (TypeError, ValueError) as error:
        # What is wrong may quote what was given, a secret.
        raise ConfigurationError(
            variables, f"{block_type.__name__} of Prefect refuses it ({type(error).__name__})."
        ) from None
    if not getattr(block, "_apprise_client", True):  # Apprise took none of it
        raise ConfigurationError(variables, "url: nothing that Prefect can send to.", "It takes the URLs of Apprise.")
    return block


def _duration(variable: str, text: str, unit: str) -> timedelta:
    try:
        duration = timedelta(**{unit: float(text)})
    except (ValueError, OverflowError):
        raise ConfigurationError(variable, f"{text!r} is no number of {unit}.") from None
    if duration and duration < timedelta(seconds=10):
        raise ConfigurationError(variable, f"{text} {unit} is too short.", "Ten seconds are the least; 0 is never.")
    return duration
