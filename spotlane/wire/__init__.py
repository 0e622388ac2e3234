"""The API's models, as they travel: one definition for the SDK, the automation service and, generated from it, the Workers and the console.

Field names are camelCase on the wire and snake_case in Python. Money is USD as a decimal string where it is kept (ledger) and a float in USD/h
where it is compared (quotes). Times are RFC 3339 in UTC; ``market`` times run on the market's clock. An unknown figure is ``null``, never 0.
"""

from __future__ import annotations

from spotlane.wire.artifacts import Artifact, Upload, UploadPart, UploadRequest
from spotlane.wire.audit import AuditHead
from spotlane.wire.base import Cloud, Digest, Json, PlacementId, TenantId, Wire, WorkloadId, WorkloadName
from spotlane.wire.changes import Change
from spotlane.wire.decisions import Alternative, Asking, CostParts, Decision, Evidence, Hurdle
from spotlane.wire.doctor import Check, Orphan, Preflight, Sweep, SweepRequest
from spotlane.wire.holdings import Holding, HoldingOption, ZoneRate
from spotlane.wire.holds import Hold
from spotlane.wire.ledger import Ledger, LedgerHour, LedgerMove, LedgerTotals
from spotlane.wire.logs import LogBatch, LogEntry, LogLine, LogTaken, MachineLogs
from spotlane.wire.migrations import Migration, MigrationStep
from spotlane.wire.plans import MoveRequest, Plan, PlanItem, TickReport
from spotlane.wire.prices import FeedFault, Feeds, FeedStatus, HeldBack, OfferRef, PlacementScore, PriceBook, Quote, ReferenceTold, Told
from spotlane.wire.problems import Problem
from spotlane.wire.runs import ImportedResource, PolicyFinding, Run, RunEvent, RunRequest, StackRef
from spotlane.wire.spend import Spend, SpendAlert, SpendAlerts, SpendCap, WorkloadMonth
from spotlane.wire.tenants import BoundaryCheck, BoundaryDocument, BoundaryRule, Tenant
from spotlane.wire.tokens import (
    ApiKey,
    KeyInfo,
    KeyRequest,
    KeyRotation,
    PlacementCredentials,
    RefreshRequest,
    Revocation,
    Revoked,
    Scope,
    SigningKey,
    SigningKeys,
    Token,
    TokenRequest,
    TokenRevocation,
)
from spotlane.wire.whatif import CourseCost, Place, WhatIf, WhatIfItem, WhatIfRequest
from spotlane.wire.workloads import (
    Endpoint,
    Health,
    Incident,
    Placement,
    PlacementRules,
    PlacementState,
    Ports,
    Resources,
    Workload,
    WorkloadEvent,
    WorkloadSpec,
    WorkloadState,
)

__all__ = [
    "Change",
    "ImportedResource",
    "FeedFault",
    "FeedStatus",
    "Feeds",
    "HeldBack",
    "SweepRequest",
    "Sweep",
    "Preflight",
    "Orphan",
    "Check",
    "Alternative",
    "Asking",
    "ApiKey",
    "Artifact",
    "AuditHead",
    "BoundaryCheck",
    "BoundaryDocument",
    "BoundaryRule",
    "Cloud",
    "CostParts",
    "CourseCost",
    "Decision",
    "Digest",
    "Endpoint",
    "Evidence",
    "Health",
    "Hold",
    "Holding",
    "HoldingOption",
    "Hurdle",
    "Incident",
    "Json",
    "KeyInfo",
    "KeyRequest",
    "KeyRotation",
    "Ledger",
    "LedgerHour",
    "LedgerMove",
    "LedgerTotals",
    "LogBatch",
    "LogEntry",
    "LogLine",
    "LogTaken",
    "MachineLogs",
    "Migration",
    "MigrationStep",
    "MoveRequest",
    "OfferRef",
    "Place",
    "Placement",
    "PlacementCredentials",
    "PlacementId",
    "PlacementRules",
    "PlacementScore",
    "PlacementState",
    "Plan",
    "PlanItem",
    "PolicyFinding",
    "Ports",
    "PriceBook",
    "Problem",
    "Quote",
    "ReferenceTold",
    "RefreshRequest",
    "Resources",
    "Revocation",
    "Revoked",
    "Run",
    "RunEvent",
    "RunRequest",
    "Scope",
    "SigningKey",
    "SigningKeys",
    "Spend",
    "SpendAlert",
    "SpendAlerts",
    "SpendCap",
    "StackRef",
    "Tenant",
    "TenantId",
    "TickReport",
    "Token",
    "Told",
    "TokenRequest",
    "TokenRevocation",
    "Upload",
    "UploadPart",
    "UploadRequest",
    "WhatIf",
    "WhatIfItem",
    "WhatIfRequest",
    "Wire",
    "Workload",
    "WorkloadEvent",
    "WorkloadId",
    "WorkloadMonth",
    "WorkloadName",
    "WorkloadSpec",
    "WorkloadState",
    "ZoneRate",
]
