"""A claim: a worker's right to one trial of a study's budget."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement

from storage.schema import claims_table


@dataclass(frozen=True)
class Claim:
    """A claim.

    Attributes:
        claim_id: its number; SQLite gives the number of a deleted row to a new one.
        worker_id: who claimed, which tells it apart from another of the same number.
    """

    claim_id: int
    worker_id: str


def is_claim(claim: Claim) -> ColumnElement[bool]:
    """The condition for a claim's row."""
    return (claims_table.c.claim_id == claim.claim_id) & (
        claims_table.c.worker_id == claim.worker_id
    )
