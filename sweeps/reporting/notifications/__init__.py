"""Word to somewhere else on a sweep's end and on new bests: a webhook, or a command."""

from sweeps.reporting.notifications.channel import Channel
from sweeps.reporting.notifications.command import Command
from sweeps.reporting.notifications.notifier import KINDS, Notifier
from sweeps.reporting.notifications.view import NotifyingView
from sweeps.reporting.notifications.webhook import Webhook

__all__ = ["KINDS", "Channel", "Command", "Notifier", "NotifyingView", "Webhook"]
