"""Catalogs that tests share."""

from decimal import Decimal

from plaudit.engine.catalog import Catalog
from plaudit.engine.document import AchievementEntry, AttributeEntry, Document, MetricEntry, PointsEntry, TriggerEntry
from plaudit.engine.revision import revise

STUDY = Document(
    metrics=(MetricEntry("lessons", "Lessons"), MetricEntry("pages", "Pages")),
    attributes=(AttributeEntry("plan", "Plan", "user"), AttributeEntry("subject", "Subject", "event")),
    achievements=(
        AchievementEntry("first", "First", "lessons", Decimal(1)),
        AchievementEntry("tenth", "Tenth", "lessons", Decimal(10)),
    ),
    points=(PointsEntry("xp", "XP", triggers=(TriggerEntry("per-lesson", "lessons", 1, 10),)),),
)


def study_catalog(at_ms: int = 1_700_000_000_000) -> Catalog:
    """A small catalog: two metrics, two achievements, one points system."""
    return revise(Catalog(), STUDY, at_ms)
