"""Word to somewhere else on a sweep's end and on new bests: a webhook, or a command."""

from sweeps.notifications.channel import Channel
from sweeps.notifications.command import Command
from sweeps.notifications.notifier import KINDS, Notifier
from sweeps.notifications.view import NotifyingView
from sweeps.notifications.webhook import Webhook

__all__ = ["KINDS", "Channel", "Command", "Notifier", "NotifyingView", "Webhook"]
