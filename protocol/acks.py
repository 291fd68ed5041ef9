"""The cloud's answer to an envelope, sent only after the commit."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from protocol.wire import Digest, Epoch, Position, Seq, Slug, StoreId, Through, UtcTime, WireMessage, WireModel

__all__ = ["Ack", "SeqRange"]


class SeqRange(WireModel):
    """Seqs from first to last, both included."""

    first: Seq
    last: Seq

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"last not below first; found {self.first} to {self.last}")
        return self


class Ack(WireMessage):
    """What the cloud has committed of one epoch, or which payload it could not read.

    Every seq up to `through` is settled; `received` are settled ranges beyond it; `rejected` seqs of the envelope
    were dead-lettered (and are settled too); `refused` is the SHA-256 of a payload that could not be read.
    `position` counts the acks to this box in this store. `at` is the cloud's UTC, for a box without a clock.
    """

    box: Slug
    store: StoreId
    position: Annotated[Position, Field(ge=1)]
    at: UtcTime
    epoch: Epoch | None = None
    through: Through | None = None
    received: Annotated[tuple[SeqRange, ...], Field(max_length=1000)] = ()
    rejected: Annotated[tuple[Seq, ...], Field(max_length=2000)] = ()
    refused: Digest | None = None

    @model_validator(mode="after")
    def _about_an_epoch_or_a_payload(self) -> Self:
        if (self.epoch is None) != (self.through is None) or (self.epoch is None) == (self.refused is None):
            raise ValueError("either `epoch` with `through`, or `refused`")
        return self
